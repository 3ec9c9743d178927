/// Ends a check with what is wrong, unless this holds.
macro_rules! ensure {
    ($holds:expr, $($wrong:tt)+) => {
        if !$holds {
            return Err(format!($($wrong)+).into());
        }
    };
}

pub(super) use ensure;
