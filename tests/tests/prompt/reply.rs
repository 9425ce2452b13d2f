//! The reply machine on random ids.

use caracal_shared::ids::{CODE_END, TEXT_END, TEXT_PAUSE};
use caracal_shared::reply::{ReplyIds, ReplyMachine, ReplyStage};
use proptest::prelude::*;

const IDS: ReplyIds = ReplyIds { pause: TEXT_PAUSE, end: TEXT_END, semantic_end: CODE_END };

fn steps() -> impl Strategy<Value = Vec<(u32, [u32; 4])>> {
    let text = prop_oneof![4 => 300u32..310, 1 => Just(TEXT_PAUSE), 1 => Just(TEXT_END), 1 => any::<u32>()];
    let semantic = prop_oneof![3 => 40u32..50, 1 => Just(CODE_END), 1 => any::<u32>()];
    prop::collection::vec((text, semantic, any::<[u32; 3]>()).prop_map(|(text, s, [a, b, c])| (text, [s, a, b, c])), 0..60)
}

proptest! {
    #[test]
    fn each_step_follows_from_the_one_before(script in steps()) {
        let mut machine = ReplyMachine::new(IDS);
        let mut ends = 0;
        for (text, codes) in script {
            let before = machine.stage();
            if before == ReplyStage::Finished {
                break;
            }
            let mut copy = machine.clone();
            let step = machine.step(text, codes);
            prop_assert_eq!(step, copy.step(text, codes), "a clone continues equally");
            prop_assert_eq!(step.before, before);
            prop_assert_eq!(step.after, machine.stage());
            // Text is heard in one stage only; audio is recorded always, but for the acoustic ids of a first step.
            prop_assert_eq!(step.text, (before == ReplyStage::Text).then_some(text));
            prop_assert_eq!(step.emitted_text_id, step.text.unwrap_or(TEXT_END));
            let first = step.after == ReplyStage::Text && step.count == 1;
            prop_assert_eq!(step.codes, if first { [Some(codes[0]), None, None, None] } else { codes.map(Some) });
            prop_assert_eq!((step.next.text, step.next.codes), (step.text, step.codes));
            // Each stage is left by its own id and by no other.
            let leaves = match before {
                ReplyStage::Text => text == TEXT_PAUSE || text == TEXT_END,
                _ => codes[0] == CODE_END,
            };
            prop_assert_eq!(step.after != before, leaves);
            ends += u32::from(before == ReplyStage::Text && text == TEXT_END);
            prop_assert_eq!(step.finished, step.after == ReplyStage::Finished);
            prop_assert!(!step.finished || ends == 1, "a reply finishes after its one end");
        }
    }
}

#[test]
#[should_panic(expected = "a finished reply was given another step")]
fn a_finished_reply_takes_no_step() {
    let mut machine = ReplyMachine::new(IDS);
    machine.step(TEXT_END, [40; 4]);
    assert!(machine.step(7, [CODE_END, 40, 40, 40]).finished);
    machine.step(7, [40; 4]);
}
