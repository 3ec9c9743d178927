//! What all groups expand to: a `#[test]` for each law of a list.

#[doc(hidden)]
#[macro_export]
macro_rules! __tests {
    (($subject:ty, $clock:ident, $fixture:expr) $module:ident: $($kind:ident $law:ident)*) => {
        $($crate::__test!($kind $module $law, $clock, $subject, $fixture, []);)*
    };
    (($subject:ty, $clock:ident, $fixture:expr, $attributes:tt)
        $module:ident: $($kind:ident $law:ident)*) => {
        $($crate::__test!($kind $module $law, $clock, $subject, $fixture, $attributes);)*
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __test {
    (law $module:ident $law:ident, $clock:ident, $subject:ty, $fixture:expr,
        [$($attribute:tt)*]) => {
        #[test]
        $($attribute)*
        fn $law() {
            let fixture: ::std::sync::Arc<$subject> = ::std::sync::Arc::new($fixture);
            $crate::check($crate::__run!($clock $law), fixture, async |fixture: &$subject| {
                $crate::$module::$law(fixture).await;
            });
        }
    };
    (property $module:ident $law:ident, $clock:ident, $subject:ty, $fixture:expr,
        [$($attribute:tt)*]) => {
        #[test]
        $($attribute)*
        fn $law() {
            let fixture: ::std::sync::Arc<$subject> = ::std::sync::Arc::new($fixture);
            $crate::check_property($crate::__run!($clock $law), fixture, |run, fixture| {
                $crate::$module::$law(run, fixture);
            });
        }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __run {
    (real $law:ident) => {
        $crate::LawRun::new(stringify!($law))
            .with_seeds(concat!(env!("CARGO_MANIFEST_DIR"), "/proptest-regressions"))
    };
    (paused $law:ident) => {
        $crate::__run!(real $law).with_paused_clock()
    };
}
