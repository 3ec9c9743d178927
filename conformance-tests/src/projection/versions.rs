use std::collections::HashSet;

use downlink::{Cursor, ErrorKind, Event};

use super::ProjectionSetup;
use super::sample::Sample;
use super::setup::Environment;
use super::steps::{build, done, over, walk};

/// **Law.** Versions of a projection, and projections with different names,
/// share neither checkpoint nor read model.
pub async fn versions_are_isolated(setup: &ProjectionSetup) {
    let env = setup.open().await;
    env.append(12).await;
    let log = env.log().await;
    let samples = [("board", 1), ("board", 2), ("gates", 1), ("boar", 12)];
    let samples = samples.map(|(name, version)| Sample::new(name, version));
    for (index, sample) in samples.iter().enumerate() {
        let model = env.model(sample);
        assert_eq!(
            model.checkpoint().await.ok(),
            Some(Cursor::START),
            "{} has a checkpoint before its first step: it belongs to another version or name",
            sample.id
        );
        walk(&*model, &log[..12 - 2 * index], &[3]).await;
        for sample in &samples[..=index] {
            env.verify(sample).await;
        }
    }
    for (index, sample) in samples.iter().enumerate() {
        assert_eq!(
            env.model(sample).checkpoint().await.ok(),
            Some(log[11 - 2 * index].cursor()),
            "the checkpoint of {} was moved by another version or name",
            sample.id
        );
    }
    env.model(&samples[1]).reset().await.expect("a reset");
    for sample in &samples {
        env.verify(sample).await;
    }
}

/// **Law.** No version is live until one is made live. A version that never
/// made a step cannot become live, and only a higher version replaces the live
/// one.
pub async fn only_a_higher_version_becomes_live(setup: &ProjectionSetup) {
    let env = setup.open().await;
    env.append(4).await;
    let sample = |version| Sample::new("board", version);
    assert_eq!(
        env.model(&sample(1)).live().await.ok(),
        Some(None),
        "no version may be live at first"
    );
    let never = env.model(&sample(2)).make_live().await;
    assert_eq!(
        never.err().map(|error| error.kind()),
        Some(ErrorKind::Invalid),
        "a version without a read model must not become live"
    );
    for (version, live) in [(2, 2), (1, 2), (2, 2), (4, 4), (3, 4)] {
        let model = build(&env, &sample(version)).await;
        let returned = model.make_live().await.expect("a live version");
        assert_eq!(
            returned, live,
            "only a higher version may replace the live one, in one transaction"
        );
        assert_eq!(
            model.live().await.ok(),
            Some(Some(live)),
            "another version is live than `make_live` returned"
        );
    }
    let other = env.model(&Sample::new("gates", 1));
    assert_eq!(
        other.live().await.ok(),
        Some(None),
        "projections with different names share the live version"
    );
}

/// **Law.** Each position is returned as unannounced at most once, to the live
/// version, and none is that was stored before the first version was live.
pub async fn an_event_is_announced_at_most_once(setup: &ProjectionSetup) {
    let env = setup.open().await;
    env.append(30).await;
    let log = env.log().await;
    let mut announced = HashSet::new();
    let mut announce = |told: Option<Cursor>, events: &[Event]| {
        let Some(after) = told else { return 0 };
        let fresh: Vec<_> = events
            .iter()
            .map(Event::position)
            .filter(|position| *position > after.position())
            .collect();
        let count = fresh.len();
        for position in fresh {
            assert!(
                announced.insert(position),
                "the event at {position} was announced twice: store how far events were announced, \
                 independently of versions and resets"
            );
        }
        count
    };
    let (one, two) = (env.model(&Sample::new("board", 1)), env.model(&Sample::new("board", 2)));
    let history = done(&*one, over(Cursor::START, &log[..10])).await;
    assert_eq!(history, None, "only the live version may announce events");
    one.make_live().await.expect("a live version");
    let first = done(&*one, over(log[9].cursor(), &log[10..15])).await;
    assert_eq!(announce(first, &log[10..15]), 5, "the live version has to announce new events");

    one.reset().await.expect("a reset");
    let rebuilt = done(&*one, over(Cursor::START, &log[..18])).await;
    assert_eq!(announce(rebuilt, &log[..18]), 3, "after a reset only new events may be announced");

    let unseen = done(&*two, over(Cursor::START, &log[..16])).await;
    assert_eq!(unseen, None, "only the live version may announce events");
    two.make_live().await.expect("a live version");
    let former = done(&*one, over(log[17].cursor(), &log[18..22])).await;
    assert_eq!(former, None, "a version that is no longer live must not announce events");
    let second = done(&*two, over(log[15].cursor(), &log[16..])).await;
    assert_eq!(
        announce(second, &log[16..]),
        12,
        "the new version has to continue where the old one stopped announcing"
    );
    assert!(
        !announced.contains(&log[9].position()),
        "events before the first live version were announced"
    );
    a_gap_is_left_to_be_announced(&env, log[29].cursor()).await;
}

/// Tests a version that is ahead of what was announced when it becomes live.
async fn a_gap_is_left_to_be_announced(env: &Environment, announced: Cursor) {
    env.append(6).await;
    let log = env.log().await;
    let three = env.model(&Sample::new("board", 3));
    done(&*three, over(Cursor::START, &log[..33])).await;
    assert_eq!(
        three.announced().await.ok(),
        Some(None),
        "a version that is not live yet must not announce"
    );
    three.make_live().await.expect("a live version");
    let told = done(&*three, over(log[32].cursor(), &log[33..])).await;
    assert_eq!(
        told,
        Some(announced),
        "a step has to return how far events were announced before it"
    );
    let left = "a step must not announce anything beyond a gap before the gap is announced";
    assert_eq!(three.announced().await.ok(), Some(Some(announced)), "{left}");
    let end = log[35].cursor();
    for (from, to, is_made) in
        [(log[32].cursor(), end, false), (announced, end, true), (announced, end, false)]
    {
        let made = three.announce(from, to).await.expect("an answer");
        assert_eq!(made, is_made, "an announcement from {from}, where {announced} was announced");
    }
    assert_eq!(three.announced().await.ok(), Some(Some(end)), "an announcement has to be stored");
    let two = env.model(&Sample::new("board", 2));
    assert_eq!(
        two.announce(announced, end).await.ok(),
        Some(false),
        "only the live version may announce"
    );
}
