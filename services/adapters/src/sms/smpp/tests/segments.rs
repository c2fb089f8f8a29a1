//! What is counted is what is sent: for any text and any settings of an account.

use super::*;
use crate::sms::smpp::header;
use crate::sms::smpp::pdu::tag;
use omnigate_core::sms::{
    coding::{self, Coding, DefaultAlphabet},
    segment::{Encoding, Options, Plan, Reference},
};
use omnigate_proto::v1::{ErrorClass, Purpose};
use proptest::prelude::*;

/// Octets of one SMS, and septets.
const OCTETS: usize = 140;
const SEPTETS: usize = 160;
/// Octets of a `short_message` (SMPP 3.4, 4.4.1).
const SHORT_MESSAGE: usize = 254;
const LABEL: &str = "[QC]";
const OPT_OUT: &str = "Tu choi: soan TC gui 8041";

/// How an account sends.
#[derive(Clone, Debug)]
struct Way {
    long: &'static str,
    alphabet: (&'static str, DefaultAlphabet),
    unaccented: bool,
    advertises: bool,
    most: usize,
}

impl Way {
    fn settings(&self) -> Value {
        json!({
            "long_messages": self.long,
            "default_alphabet": self.alphabet.0,
            "unaccented": self.unaccented,
            "label": LABEL,
            "opt_out_line": OPT_OUT,
            "max_segments": self.most,
        })
    }

    /// The same for whoever only counts: what `omnigate sms-segments` and a campaign's preview are told.
    fn options(&self) -> Options {
        Options {
            unaccented: self.unaccented,
            label: self.advertises.then(|| LABEL.to_owned()),
            opt_out_line: self.advertises.then(|| OPT_OUT.to_owned()),
            reference: if self.long == "udh16" {
                Reference::Bits16
            } else {
                Reference::Bits8
            },
            max_segments: self.most,
            ..Options::default()
        }
    }

    fn message(&self, text: &str) -> Message {
        let purpose = if self.advertises {
            Purpose::Marketing
        } else {
            Purpose::Service
        };
        Message {
            parts: vec![text_part(text)],
            purpose: purpose.into(),
            ..Message::default()
        }
    }
}

fn ways() -> impl Strategy<Value = Way> {
    let long = prop::sample::select(vec!["udh", "udh16", "sar", "payload"]);
    let alphabet = prop::sample::select(vec![
        ("gsm7", DefaultAlphabet::Gsm7),
        ("latin1", DefaultAlphabet::Latin1),
        ("ascii", DefaultAlphabet::Ascii),
        ("utf8", DefaultAlphabet::Utf8),
    ]);
    (long, alphabet, any::<bool>(), any::<bool>(), 1..=12_usize).prop_map(
        |(long, alphabet, unaccented, advertises, most)| Way {
            long,
            alphabet,
            unaccented,
            advertises,
            most,
        },
    )
}

fn texts() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-zA-Z0-9 .,@£$\n]{0,700}",
        "[a-z€\\[\\]{}~^|\\\\]{100,400}",
        "[a-zàảãáạđêôơư ]{0,400}",
        "[a-z😀🇻🇳é]{60,220}",
        "\\PC{0,300}",
        any::<String>(),
    ]
}

/// Everything that an SMSC got of one message, and how the last send ended where nothing could be sent.
async fn sent(way: &Way, message: &Message) -> (Result<u32, ErrorClass>, Vec<Pdu>) {
    let mut rig = Rig::new(way.settings());
    let (mut smsc, run) = rig.bound(0).await;
    let counted = rig.opened.channel.piece_count(message);
    let pieces = counted.as_ref().copied().unwrap_or(0);
    let mut submits = Vec::new();
    // One more than there is: it must not leave.
    for piece in 0..=pieces {
        let (channel, host) = (Arc::clone(&rig.opened.channel), Arc::clone(&rig.host));
        let outgoing = Outgoing {
            message: message.clone(),
            piece,
            send_key: MessageId::new(Shard::new(3), "t", "r1").send_key(u8::try_from(piece).unwrap()),
            ..Rig::outgoing("", "r1")
        };
        let sending = tokio::spawn(async move { channel.send(&outgoing, &*host).await });
        if piece < pieces {
            let submit = smsc.expect(command::SUBMIT_SM).await;
            smsc.answer(&submit, 0, b"a\0").await;
            submits.push(submit);
            sending.await.unwrap().unwrap();
        } else {
            assert_eq!(sending.await.unwrap().unwrap_err().class(), ErrorClass::Content);
        }
    }
    rig.stop();
    smsc.expect(command::UNBIND).await;
    run.abort();
    (counted.map_err(|error| error.class()), submits)
}

/// A piece as a phone reads it: its place, and its UTF-16 units.
fn read(pdu: &Pdu, way: &Way) -> (Option<(u8, u8)>, Vec<u16>) {
    let as_delivery = Pdu {
        command: command::DELIVER_SM,
        ..pdu.clone()
    };
    let message = as_delivery.message().unwrap();
    assert!(
        message.tlvs.get(tag::MESSAGE_PAYLOAD).is_some() || message.content.len() <= SHORT_MESSAGE,
        "sm_length {}",
        message.content.len()
    );
    let (header, content) = if message.esm_class & 0x40 == 0 {
        (header::Header::default(), message.content)
    } else {
        header::divide(message.content).unwrap()
    };
    let octet = |tag| message.tlvs.number(tag).map(|number| u8::try_from(number).unwrap());
    let told = octet(tag::SAR_SEGMENT_SEQNUM).zip(octet(tag::SAR_TOTAL_SEGMENTS));
    let place = header.place.map(|place| (place.number, place.total)).or(told);
    let coding = Coding::of_data_coding(message.data_coding, way.alphabet.1, header.national);
    let led = message.content.len() - content.len();
    // Parameters that tell the place become a header of six octets in the air.
    let led = if told.is_some() { 6 } else { led };
    if way.long != "payload" && coding == Coding::Ucs2 {
        assert!(led + content.len() <= OCTETS, "{} octets", led + content.len());
    }
    if way.long != "payload" && matches!(coding, Coding::Gsm7(_)) {
        let septets = (led * 8).div_ceil(7) + content.len();
        assert!(septets <= SEPTETS, "{septets} septets");
    }
    (place, coding::decode(coding, content))
}

#[test]
fn what_is_longer_than_a_short_message_goes_as_payload() {
    let way = Way {
        long: "udh",
        alphabet: ("utf8", DefaultAlphabet::Utf8),
        unaccented: false,
        advertises: false,
        most: 1,
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .unwrap();
    for (length, text) in [(254, "é".repeat(127)), (255, format!("a{}", "é".repeat(127)))] {
        let (counted, submits) = runtime.block_on(sent(&way, &way.message(&text)));
        assert_eq!((counted, submits.len()), (Ok(1), 1), "{length}");
        let (_, units) = read(&submits[0], &way);
        assert_eq!(coding::text(&units), text);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn what_is_counted_is_what_is_sent(text in texts(), way in ways()) {
        let message = way.message(&text);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
        let (counted, submits) = runtime.block_on(sent(&way, &message));
        let plan = Plan::of(&text, &way.options());
        let Ok(counted) = counted else {
            prop_assert_eq!(counted, Err(ErrorClass::Content));
            prop_assert!(submits.is_empty());
            // An alphabet that lacks letters needs more than the plan says.
            let is_known = matches!(way.alphabet.0, "gsm7" | "utf8");
            prop_assert!(!is_known || text.trim().is_empty() || plan.check().is_err(), "refused without a reason");
            return Ok(());
        };
        prop_assert_eq!(submits.len(), usize::try_from(counted).unwrap());
        if way.long == "payload" {
            prop_assert_eq!(counted, 1);
        } else if plan.encoding == Encoding::Ucs2 || matches!(way.alphabet.0, "gsm7" | "utf8") {
            prop_assert_eq!(submits.len(), plan.segments.len());
        }
        let total = u8::try_from(submits.len()).unwrap();
        let mut units = Vec::new();
        for (pdu, number) in submits.iter().zip(1..) {
            let (place, read) = read(pdu, &way);
            prop_assert_eq!(place, (total > 1).then_some((number, total)));
            units.extend(read);
        }
        prop_assert_eq!(coding::text(&units), plan.text);
    }
}
