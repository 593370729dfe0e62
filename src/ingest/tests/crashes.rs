//! Runs that are killed, and items that end the process that works on them.

use super::*;
use crate::ingest::underway::Underway;
use crate::model::Hash;
use crate::store::StoreError;
use sha2::{Digest, Sha256};

/// The items of the drill.
fn drill_items() -> Vec<Result<Fetched, FetchError>> {
    (0..400).map(|number| item(&format!("{number}.xml"), xml(number * 7, number + 1))).collect()
}

fn drill_run(dir: &Path) -> Tally {
    let limits = crate::store::BatchLimits { reports: 25, ..crate::store::BatchLimits::default() };
    let mut writer = Writer::open(dir, now()).unwrap().with_limits(limits);
    let tally = run(drill_items().into_iter(), &mut writer, &options(), &mut ()).unwrap();
    writer.compact(true).unwrap();
    tally
}

#[test]
#[ignore = "the drill below starts it as a process of its own, to be killed"]
fn drill_child() {
    if let Some(dir) = std::env::var_os("DMARQUET_DRILL") {
        drill_run(Path::new(&dir));
    }
}

#[test]
fn a_run_killed_at_random_moments_ends_with_every_report_once() {
    let dir = tempfile::tempdir().unwrap();
    let mut random = u64::from(std::process::id());
    let mut killed = 0;
    for _ in 0..200 {
        let mut child = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "ingest::tests::crashes::drill_child", "--ignored", "--test-threads=1"])
            .env("DMARQUET_DRILL", dir.path())
            .stdout(std::process::Stdio::null())
            .spawn()
            .unwrap();
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        std::thread::sleep(std::time::Duration::from_millis(20 + (random >> 33) % 400));
        let ended = child.try_wait().unwrap().is_some();
        let _ = child.kill();
        child.wait().unwrap();
        if ended {
            // It finished: check, then start again.
            check_drill(dir.path(), true);
            for entry in std::fs::read_dir(dir.path()).unwrap() {
                let path = entry.unwrap().path();
                let _ = if path.is_dir() { std::fs::remove_dir_all(&path) } else { std::fs::remove_file(&path) };
            }
        } else {
            killed += 1;
            check_drill(dir.path(), false);
        }
        if killed >= 25 {
            break;
        }
    }
    assert!(killed >= 20, "only {killed} runs could be killed");
    drill_run(dir.path());
    check_drill(dir.path(), true);
    assert_eq!(Store::open(dir.path()).unwrap().verify().unwrap(), []);
}

/// No row twice, and at the end every report once.
fn check_drill(dir: &Path, complete: bool) {
    let store = Store::open(dir).unwrap();
    let mut counts = Vec::new();
    store.rows(&Filter::default(), ColumnSet::COUNT, &mut |rows| counts.extend(rows.count)).unwrap();
    counts.sort_unstable();
    let all = counts.len();
    counts.dedup();
    assert_eq!(counts.len(), all, "a row twice");
    let mut heads = 0;
    store.heads(&Filter::default(), &mut |_| heads += 1).unwrap();
    assert_eq!(heads, all);
    if complete {
        assert_eq!(counts, (1..=400).collect::<Vec<i64>>());
    }
}

/// Stands in for the process that tries one item.
#[derive(Debug)]
struct Answers(fn(&[u8]) -> Survival);

impl Trial for Answers {
    fn survives(&self, item: &TrialItem<'_>) -> Survival {
        (self.0)(item.bytes)
    }

    /// As another process does: the store is free for it.
    fn store(&self, job: &StoreJob, items: &[TrialItem<'_>]) -> Vec<Result<StoredAlone, Survival>> {
        let mut writer = Writer::open_as(&job.dir, now(), job.access).expect("the run let go of the store");
        let store = |item: &TrialItem<'_>| match (self.0)(item.bytes) {
            Survival::Survived => Ok(store_alone(item, &mut writer, &options()).unwrap()),
            other => Err(other),
        };
        items.iter().map(store).collect()
    }
}

/// Leaves the note of a run that died while processing these items.
fn died_of(dir: &Path, items: &[&Result<Fetched, FetchError>]) {
    let underway = Underway::open(dir, 1).unwrap();
    let slot = underway.slot();
    let hashes = items.iter().map(|item| match item {
        Ok(Fetched::Item(item)) => Hash(Sha256::digest(&item.bytes).into()),
        other => panic!("{other:?} has no bytes"),
    });
    underway.begin(slot, hashes).unwrap();
    std::mem::forget(underway);
}

#[test]
fn an_item_that_ended_a_process_is_rejected_and_kept_and_the_others_are_stored() {
    let dir = tempfile::tempdir().unwrap();
    let items = || vec![item("good.xml", xml(1, 1)), item("deadly.xml", xml(2, 2)), item("new.xml", xml(3, 3))];
    drop(Writer::open(dir.path(), now()).unwrap());
    died_of(dir.path(), &items()[..2].iter().collect::<Vec<_>>());
    let deadly = |bytes: &[u8]| {
        if bytes == xml(2, 2) { Survival::Died("an abort".into()) } else { Survival::Survived }
    };
    let options = IngestOptions { trial: Some(Arc::new(Answers(deadly))), ..options() };
    let mut writer = Writer::open(dir.path(), now()).unwrap();
    let tally = run(items().into_iter(), &mut writer, &options, &mut ()).unwrap();
    assert_eq!((tally.items, tally.stored.reports, tally.rejected_count()), (3, 2, 1));
    assert_eq!(tally.rejected[0].reason, "ended the program: an abort");
    let rejected = writer.rejected().unwrap();
    assert_eq!(writer.rejected_bytes(&rejected[0]).unwrap(), xml(2, 2));
    assert!(!dir.path().join("underway").exists(), "nothing is suspected any more");

    let again = run(items().into_iter(), &mut writer, &options, &mut ()).unwrap();
    assert_eq!((again.duplicates, again.rejected_count()), (3, 0));
    // A retry on request does not crash the program either.
    let retried = retry(&mut writer, &rejected, &options, &mut ()).unwrap();
    assert_eq!((retried.stored.reports, retried.rejected_count()), (0, 1));
}

#[test]
fn an_item_whose_process_was_killed_from_outside_is_left_for_the_next_run() {
    let dir = tempfile::tempdir().unwrap();
    let items = || vec![message(7, &xml(1, 1)), message(8, &xml(2, 2))];
    drop(Writer::open(dir.path(), now()).unwrap());
    died_of(dir.path(), &[&items()[0]]);
    let told = |answer: fn(&[u8]) -> Survival| {
        let options = IngestOptions { trial: Some(Arc::new(Answers(answer))), ..options() };
        let mut writer = Writer::open(dir.path(), now()).unwrap();
        let mut observer = Safe::default();
        let tally = run(items().into_iter(), &mut writer, &options, &mut observer).unwrap();
        (tally.stored.reports, tally.rejected_count(), tally.faults, observer.0)
    };
    let killed = told(|_| Survival::Unknown("killed".into()));
    assert_eq!(killed, (1, 0, 1, vec![8]), "no word on message 7, which is asked for again");
    assert_eq!(told(|_| Survival::Survived), (1, 0, 0, vec![7, 8]));
}

/// Leaves the notes of two runs that died while processing this item, the second after it had survived its trial.
fn died_of_tried(dir: &Path, item: &Result<Fetched, FetchError>) {
    died_of(dir, &[item]);
    let underway = Underway::open(dir, 1).unwrap();
    let Ok(Fetched::Item(item)) = item else { panic!("{item:?} has no bytes") };
    underway.survived(Hash(Sha256::digest(&item.bytes).into())).unwrap();
    std::mem::forget(underway);
}

#[test]
fn an_item_that_survives_its_trial_and_ends_the_run_all_the_same_is_stored_by_another_process() {
    let items = || vec![message(7, &xml(1, 1)), message(8, &xml(2, 2))];
    let told = |answers: &[fn(&[u8]) -> Survival]| {
        let dir = tempfile::tempdir().unwrap();
        drop(Writer::open(dir.path(), now()).unwrap());
        died_of_tried(dir.path(), &items()[0]);
        let mut told = Vec::new();
        for answer in answers {
            let options = IngestOptions { trial: Some(Arc::new(Answers(*answer))), ..options() };
            let mut writer = Writer::open(dir.path(), now()).unwrap();
            let mut observer = Safe::default();
            let tally = run(items().into_iter(), &mut writer, &options, &mut observer).unwrap();
            told.push((tally.stored.reports, tally.rejected_count(), tally.faults, observer.0));
            // The writer holds the store again.
            assert!(matches!(Writer::open(dir.path(), now()), Err(StoreError::Busy { .. })));
            drop(writer);
        }
        assert_eq!(Store::open(dir.path()).unwrap().verify().unwrap(), []);
        (told, dir.path().join("underway").exists())
    };
    let (runs, suspected) = told(&[|_| Survival::Survived]);
    assert_eq!((runs, suspected), (vec![(2, 0, 0, vec![8, 7])], false), "the rest first, then that one");
    // It ends the other process: it is rejected, and the run goes on.
    let (runs, suspected) = told(&[|_| Survival::Died("an abort".into())]);
    assert_eq!((runs, suspected), (vec![(1, 1, 0, vec![8, 7])], false));
    // Somebody killed the other process: that says nothing, and the next run does the same again.
    let (runs, suspected) = told(&[|_| Survival::Unknown("killed".into()), |_| Survival::Survived]);
    assert_eq!((runs, suspected), (vec![(1, 0, 1, vec![8]), (1, 0, 0, vec![8, 7])], false));
}
