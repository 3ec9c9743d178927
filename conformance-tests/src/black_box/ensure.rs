/// Ends a check with this failure, unless the condition holds.
macro_rules! ensure {
    ($holds:expr, $($wrong:tt)+) => {
        if !$holds {
            return Err(format!($($wrong)+).into());
        }
    };
}

pub(super) use ensure;
