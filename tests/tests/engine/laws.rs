//! The bitwise laws.

use burn::tensor::{Device, Tensor, TensorData};
use caracal_cluster::backbone::watcher::Unwatched;
use caracal_cluster::engine::{BurnEngine, CacheLimits, Engine, KvCheckpoint, Read, SessionId, Work};
use caracal_tests::random_backbone;
use caracal_tests::streaming::relative_error;
use proptest::prelude::*;
use serde_json::json;

use super::{ROOM, engine, rows, step};

/// What may happen to sessions.
#[derive(Clone, Debug)]
enum Event {
    /// One step with this many rows for each of these sessions.
    Step(Vec<(usize, usize)>),
    Mark(usize),
    RollBack(usize),
    Truncate(usize, prop::sample::Index),
    Restart(usize),
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let session = 0..4usize;
    let event = prop_oneof![
        6 => prop::collection::btree_map(session.clone(), 1..9usize, 1..4).prop_map(|plan| Event::Step(plan.into_iter().collect())),
        2 => session.clone().prop_map(Event::Mark),
        2 => session.clone().prop_map(Event::RollBack),
        1 => (session.clone(), any::<prop::sample::Index>()).prop_map(|(session, length)| Event::Truncate(session, length)),
        1 => session.prop_map(Event::Restart),
    ];
    prop::collection::vec(event, 1..14)
}

/// What a session should hold.
struct Expected {
    id: SessionId,
    /// Input rows that were not taken back.
    rows: Vec<f32>,
    /// The hidden states that they gave.
    hidden: Vec<f32>,
    mark: Option<KvCheckpoint>,
}

fn play(engine: &mut BurnEngine, events: &[Event], expected: &mut [Expected]) {
    let width = engine.width();
    for (time, event) in events.iter().enumerate() {
        match event {
            Event::Step(plan) => {
                let plan: Vec<Work> = plan
                    .iter()
                    .map(|(session, count)| Work {
                        session: expected[*session].id,
                        rows: rows(engine, *count, (time * 10 + session) as u64),
                        read: Read::All,
                    })
                    .collect();
                for (work, answer) in plan.iter().zip(engine.step(&plan)) {
                    let session = expected.iter_mut().find(|e| e.id == work.session).unwrap();
                    session.rows.extend(&work.rows);
                    session.hidden.extend(answer.unwrap().rows);
                }
            }
            Event::Mark(session) => expected[*session].mark = Some(engine.checkpoint(expected[*session].id).unwrap()),
            Event::RollBack(session) => {
                let session = &mut expected[*session];
                if let Some(mark) = session.mark {
                    engine.roll_back(mark).unwrap();
                    session.rows.truncate(mark.length() * width);
                    session.hidden.truncate(mark.length() * width);
                }
            }
            Event::Truncate(session, length) => {
                let session = &mut expected[*session];
                let length = length.index(session.rows.len() / width + 1);
                engine.truncate(session.id, length).unwrap();
                session.rows.truncate(length * width);
                session.hidden.truncate(length * width);
                // A mark above the cut holds no longer.
                session.mark = session.mark.filter(|mark| mark.length() <= length);
            }
            Event::Restart(session) => {
                let session = &mut expected[*session];
                engine.close(session.id).unwrap();
                *session = Expected { id: engine.open().unwrap(), rows: Vec::new(), hidden: Vec::new(), mark: None };
            }
        }
        let usage = engine.usage();
        assert_eq!(usage.used + usage.free, ROOM.blocks);
        let needed: usize = expected.iter().map(|e| (e.rows.len() / width).div_ceil(ROOM.block_tokens)).sum();
        assert_eq!(usage.used, needed);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn batched_cut_and_taken_back_equals_alone_at_once_and_never_gone_there(events in events()) {
        let mut busy = engine(ROOM);
        let mut expected: Vec<Expected> = (0..4).map(|_| Expected { id: busy.open().unwrap(), rows: Vec::new(), hidden: Vec::new(), mark: None }).collect();
        play(&mut busy, &events, &mut expected);
        for session in &expected {
            prop_assert_eq!(busy.length(session.id).unwrap(), session.rows.len() / busy.width());
            // Blocks of another size, so that nothing can depend on where they end.
            let mut alone = engine(CacheLimits { block_tokens: 16, ..ROOM });
            let id = alone.open().unwrap();
            if !session.rows.is_empty() {
                prop_assert!(step(&mut alone, id, &session.rows) == session.hidden, "hidden states differ");
            }
            prop_assert_eq!(alone.checksum(id).unwrap(), busy.checksum(session.id).unwrap());
        }
        for session in expected {
            busy.close(session.id).unwrap();
        }
        prop_assert_eq!(busy.usage().used, 0);
    }
}

#[test]
fn a_plan_longer_than_one_pass_of_the_network_is_cut_without_a_trace() {
    let (mut long, mut short) = (engine(ROOM), engine(ROOM));
    let (a, b) = (long.open().unwrap(), long.open().unwrap());
    let (rows_a, rows_b) = (rows(&long, 700, 1), rows(&long, 400, 2));
    let plan = [Work { session: a, rows: rows_a.clone(), read: Read::Last }, Work { session: b, rows: rows_b.clone(), read: Read::All }];
    let answers: Vec<_> = long.step(&plan).into_iter().map(Result::unwrap).collect();
    for (session, rows, answer) in [(a, rows_a, &answers[0].rows), (b, rows_b, &answers[1].rows)] {
        let id = short.open().unwrap();
        let want: Vec<f32> = rows.chunks(100 * short.width()).flat_map(|chunk| step(&mut short, id, chunk)).collect();
        assert!(want.ends_with(answer) && !answer.is_empty());
        assert_eq!(short.checksum(id), long.checksum(session));
    }
    assert_eq!((answers[0].rows.len(), answers[1].rows.len()), (long.width(), 400 * long.width()));
}

#[test]
fn text_logits_of_a_row_do_not_depend_on_the_batch() {
    let engine = engine(ROOM);
    let hidden = rows(&engine, 9, 5);
    let together = engine.text_logits(&hidden);
    let alone: Vec<f32> = hidden.chunks(engine.width()).flat_map(|row| engine.text_logits(row)).collect();
    assert_eq!(together, alone);
}

#[test]
fn absorbed_and_plain_attention_agree_for_many_shapes() {
    let shapes = [
        json!({}),
        json!({ "num_attention_heads": 8, "kv_lora_rank": 64, "qk_rope_head_dim": 16 }),
        json!({ "num_attention_heads": 1, "kv_lora_rank": 1, "qk_nope_head_dim": 1, "qk_rope_head_dim": 2, "v_head_dim": 1 }),
        json!({ "mla_scale_q_lora": false, "mla_scale_kv_lora": false, "latent_norm_eps": 1e-5, "zero_expert_num": 0 }),
        json!({ "n_routed_experts": 1, "zero_expert_num": 40, "moe_topk": 12 }),
    ];
    for (device, shape) in shapes.iter().flat_map(|shape| [(Device::flex(), shape), (Device::flex().autodiff(), shape)]) {
        let mut engine = random_backbone::engine(&random_backbone::small_config(shape.clone()), 3, &device, ROOM).unwrap();
        let x = rows(&engine, 33, 9);
        let tensor = Tensor::<2>::from_data(TensorData::new(x.clone(), [33, engine.width()]), &device);
        let plain = engine.model().offline(tensor, 1, &mut Unwatched).into_data().try_into_vec::<f32>().unwrap();
        let session = engine.open().unwrap();
        let absorbed: Vec<f32> = x.chunks(10 * engine.width()).flat_map(|chunk| step(&mut engine, session, chunk)).collect();
        let error = relative_error(&absorbed, &plain);
        assert!(error < 1e-5, "{shape}: {error:.1e}");
    }
}

#[test]
fn sequences_side_by_side_in_training_do_not_see_each_other() {
    let config = random_backbone::parse(&random_backbone::small_config(json!({}))).unwrap();
    let device = Device::flex();
    let model = random_backbone::model(&config, 4, &device).unwrap();
    let x = rows(&engine(ROOM), 24, 2);
    let run = |x: &[f32], sequences: usize| {
        let x = Tensor::<2>::from_data(TensorData::new(x.to_vec(), [x.len() / config.hidden_size, config.hidden_size]), &device);
        model.offline(x, sequences, &mut Unwatched).into_data().try_into_vec::<f32>().unwrap()
    };
    let together = run(&x, 3);
    for (sequence, together) in x.chunks(8 * config.hidden_size).zip(together.chunks(8 * config.hidden_size)) {
        assert!(relative_error(together, &run(sequence, 1)) < 1e-6);
    }
}
