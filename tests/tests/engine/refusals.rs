//! Work that is refused: a clear reason, nothing changed, and no other session disturbed.

use burn::tensor::{Device, Tensor};
use caracal_cluster::engine::{BurnEngine, CacheLimits, Engine, EngineError, Read, SessionId, Work};
use caracal_kernels::burn::module::Param;
use caracal_tests::random_backbone;
use serde_json::json;

use super::{ROOM, engine, rows, step};

fn work(session: SessionId, rows: Vec<f32>) -> Work {
    Work { session, rows, read: Read::All }
}

/// Runs `bad` between two good works and checks that these compute as if it were not there, and that the session of the
/// bad one is as before.
fn refused(engine: &mut BurnEngine, bad: Work) -> EngineError {
    let (before, after) = (engine.open().unwrap(), engine.open().unwrap());
    let (rows_before, rows_after) = (rows(engine, 7, 100), rows(engine, 3, 101));
    let state = |engine: &BurnEngine| (engine.length(bad.session), engine.checksum(bad.session));
    let was = state(engine);
    let mut answers = engine.step(&[work(before, rows_before.clone()), bad.clone(), work(after, rows_after.clone())]);
    assert_eq!(state(engine), was);
    let error = answers.remove(1).unwrap_err();
    let mut quiet = super::engine(ROOM);
    for (rows, answer) in [rows_before, rows_after].iter().zip(answers) {
        let session = quiet.open().unwrap();
        assert_eq!(step(&mut quiet, session, rows), answer.unwrap().rows);
    }
    engine.close(before).unwrap();
    engine.close(after).unwrap();
    error
}

#[test]
fn bad_rows_name_the_session_the_row_and_the_column() {
    let mut engine = engine(ROOM);
    let session = engine.open().unwrap();
    let good = rows(&engine, 6, 1);
    step(&mut engine, session, &good);
    let width = engine.width();

    let mut nan = rows(&engine, 4, 2);
    nan[2 * width + 5] = f32::NAN;
    let error = refused(&mut engine, work(session, nan));
    assert!(matches!(error, EngineError::NotFinite { row: 2, column: 5, .. }), "{error}");
    assert!(error.to_string().contains("input row 2 holds NaN at column 5"), "{error}");

    let mut infinite = rows(&engine, 1, 2);
    infinite[0] = f32::NEG_INFINITY;
    assert!(matches!(refused(&mut engine, work(session, infinite)), EngineError::NotFinite { row: 0, column: 0, .. }));

    for count in [0, 1, width - 1, width + 1] {
        let error = refused(&mut engine, work(session, vec![0.0; count]));
        assert_eq!(error, EngineError::WrongWidth { session, found: count, width });
        assert!(error.to_string().contains(&format!("rows of {width}")), "{error}");
    }
}

#[test]
fn numbers_that_overflow_inside_are_caught_and_taken_back() {
    // Norms tame every finite input, so a broken weight has to do it: zeros pass through, anything else overflows.
    let config = random_backbone::parse(&random_backbone::small_config(json!({}))).unwrap();
    let device = Device::flex();
    let mut model = random_backbone::model(&config, 11, &device).unwrap();
    model.norm.weight = Param::from_tensor(Tensor::full([config.hidden_size], f32::MAX, &device));
    let mut engine = BurnEngine::new(&config, model, ROOM);
    let [bad, good] = [(); 2].map(|()| engine.open().unwrap());
    let zeros = vec![0.0; 3 * engine.width()];
    step(&mut engine, bad, &zeros);
    let was = (engine.checksum(bad), engine.usage().used);
    for read in [Read::Nothing, Read::Last, Read::All] {
        let answers = engine.step(&[Work { session: bad, rows: rows(&engine, 4, 1), read }, work(good, zeros.clone())]);
        assert_eq!(answers[0], Err(EngineError::Overflow { session: bad }));
        assert_eq!(answers[1].as_ref().unwrap().rows, zeros);
        engine.truncate(good, 0).unwrap();
        assert_eq!((engine.checksum(bad), engine.usage().used), was);
    }
}

#[test]
fn unknown_closed_and_repeated_sessions_are_refused() {
    let mut engine = engine(ROOM);
    let session = engine.open().unwrap();
    let row = rows(&engine, 1, 1);
    engine.close(session).unwrap();
    let gone = EngineError::Unknown { session };
    assert_eq!(refused(&mut engine, work(session, row.clone())), gone);
    assert_eq!(engine.close(session), Err(gone.clone()));
    assert_eq!(engine.checkpoint(session), Err(gone.clone()));
    assert_eq!(engine.truncate(session, 0), Err(gone));
    let other = engine.open().unwrap();
    assert_ne!(other, session, "a number is never used again");
    let answers = engine.step(&[work(other, row.clone()), work(other, row)]);
    assert!(answers[0].is_ok());
    assert_eq!(answers[1], Err(EngineError::Repeated { session: other }));
    assert_eq!(engine.length(other), Ok(1));
}

#[test]
fn a_conversation_cannot_outgrow_the_models_context() {
    let mut engine = engine(ROOM);
    let session = engine.open().unwrap();
    let most = rows(&engine, 2040, 1);
    step(&mut engine, session, &most);
    let rows_over = rows(&engine, 9, 2);
    let error = refused(&mut engine, work(session, rows_over));
    assert_eq!(error, EngineError::Context { session, length: 2040, rows: 9, max: 2048 });
    let rest = rows(&engine, 8, 2);
    step(&mut engine, session, &rest);
}

#[test]
fn a_full_cache_refuses_the_newest_work_and_changes_nothing() {
    let mut engine = engine(CacheLimits { block_tokens: 4, blocks: 5, sessions: 3 });
    let [old, young, third] = [(); 3].map(|()| engine.open().unwrap());
    let (first, more) = (rows(&engine, 8, 1), rows(&engine, 9, 2));
    step(&mut engine, young, &first);
    let was = (engine.usage(), engine.checksum(young));
    // Two of five blocks are used; the older takes all three others, so the younger has no room.
    let answers = engine.step(&[work(old, more.clone()), work(young, first[..engine.width()].to_vec()), work(third, more.clone())]);
    assert!(answers[0].is_ok());
    assert_eq!(answers[1], Err(EngineError::KvFull { session: young, needed: 1, free: 0, total: 5 }));
    assert_eq!(answers[2], Err(EngineError::KvFull { session: third, needed: 3, free: 0, total: 5 }));
    assert_eq!((engine.usage().used, engine.checksum(young)), (5, was.1));
    assert!(answers[1].as_ref().unwrap_err().to_string().contains("needs 1 cache blocks, 0 of 5 are free"));
    // A partly filled block has room without a new one, and an ended session makes room.
    let row = more[..engine.width()].to_vec();
    step(&mut engine, old, &row);
    engine.close(young).unwrap();
    assert_eq!((engine.usage().used, engine.usage().free), (3, 2));
    assert!(engine.step(&[work(third, first)])[0].is_ok());
}

#[test]
fn sessions_are_limited() {
    let mut engine = engine(CacheLimits { sessions: 2, ..ROOM });
    let first = engine.open().unwrap();
    engine.open().unwrap();
    assert_eq!(engine.open(), Err(EngineError::Sessions { max: 2 }));
    engine.close(first).unwrap();
    engine.open().unwrap();
}

#[test]
fn a_checkpoint_whose_tokens_are_gone_is_refused_even_when_the_length_is_back() {
    let mut engine = engine(ROOM);
    let session = engine.open().unwrap();
    let start = engine.checkpoint(session).unwrap();
    let six = rows(&engine, 6, 1);
    step(&mut engine, session, &six);
    let mark = engine.checkpoint(session).unwrap();
    assert_eq!(engine.truncate(session, 7), Err(EngineError::Beyond { session, asked: 7, length: 6 }));
    engine.truncate(session, 5).unwrap();
    assert_eq!(engine.roll_back(mark), Err(EngineError::Stale { session, length: 6 }));
    let other = rows(&engine, 4, 9);
    step(&mut engine, session, &other);
    let was = engine.checksum(session);
    assert_eq!(engine.roll_back(mark), Err(EngineError::Stale { session, length: 6 }));
    assert_eq!(engine.checksum(session), was);
    engine.roll_back(start).unwrap();
    assert_eq!((engine.length(session), engine.usage().used), (Ok(0), 0));
}
