use super::{
    super::{
        coding::decode,
        fault::{Fault, Operation},
        options::{AccountOptions, Null, Options},
        pdu::{Address, Frame, Framed, ShortMessage, Tlv, command, next_frame, put, put_c_string, tag},
        pieces::{Long, cut, encode},
        receipt::{IdForm, IdForms, ReceiptForm, ReceiptPlan, State},
        server::Smsc,
        status,
    },
    *,
};
use bytes::{BufMut as _, Bytes, BytesMut};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

mod deliveries;
mod session;
mod submissions;

const SOON: Duration = Duration::from_secs(10);

async fn start(options: Options) -> SmscHandle {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    Smsc::start(listener, None, options).unwrap()
}

/// Options with one account, changed.
fn with_account(change: impl FnOnce(&mut AccountOptions)) -> Options {
    let mut account = AccountOptions::default();
    change(&mut account);
    Options {
        accounts: vec![account],
        speed: 1000,
        ..Options::default()
    }
}

/// The least that an ESME is: it says what it is told to, and reads.
struct Esme {
    stream: TcpStream,
    input: BytesMut,
    sequence: u32,
}

impl Esme {
    async fn connect(smsc: &SmscHandle) -> Self {
        Self {
            stream: TcpStream::connect(smsc.address()).await.unwrap(),
            input: BytesMut::new(),
            sequence: 0,
        }
    }

    async fn bound(smsc: &SmscHandle, mode: u32) -> Self {
        let mut esme = Self::connect(smsc).await;
        assert_eq!(esme.bind(mode, "omnigate", "sandbox1").await.status, status::ROK);
        esme
    }

    async fn transceiver(smsc: &SmscHandle) -> Self {
        Self::bound(smsc, command::BIND_TRANSCEIVER).await
    }

    async fn say(&mut self, command: u32, status: u32, sequence: u32, body: &[u8]) {
        let mut out = BytesMut::new();
        put(&mut out, command, status, sequence, body);
        self.stream.write_all(&out).await.unwrap();
    }

    async fn ask(&mut self, command: u32, body: &[u8]) -> u32 {
        self.sequence += 1;
        self.say(command, 0, self.sequence, body).await;
        self.sequence
    }

    async fn bind(&mut self, mode: u32, system_id: &str, password: &str) -> Frame {
        let mut body = Vec::new();
        for text in [system_id, password, ""] {
            put_c_string(&mut body, text);
        }
        body.extend([0x34, 0, 0, 0]);
        let sequence = self.ask(mode, &body).await;
        let response = self.next().await;
        assert_eq!(
            (response.command, response.sequence),
            (mode | command::RESPONSE, sequence)
        );
        response
    }

    /// None at the end of the connection, reset or not.
    async fn read(&mut self) -> Option<Frame> {
        loop {
            if let Framed::Frame(frame) = next_frame(&mut self.input, 100_000) {
                return Some(frame);
            }
            let read = timeout(SOON, self.stream.read_buf(&mut self.input))
                .await
                .expect("nothing came");
            if !matches!(read, Ok(1..)) {
                return None;
            }
        }
    }

    async fn next(&mut self) -> Frame {
        self.read().await.expect("the connection ended")
    }

    /// A `deliver_sm` and its sequence number.
    async fn delivered(&mut self) -> (ShortMessage, u32) {
        let frame = self.next().await;
        assert_eq!(frame.command, command::DELIVER_SM, "{frame:?}");
        (
            ShortMessage::read(command::SUBMIT_SM, &frame.body).unwrap(),
            frame.sequence,
        )
    }

    async fn acknowledge(&mut self, sequence: u32, status: u32) {
        self.say(command::DELIVER_SM_RESP, status, sequence, b"\0").await;
    }

    async fn submit(&mut self, message: &ShortMessage) -> Frame {
        let sequence = self.ask(command::SUBMIT_SM, &message.deliver_body()).await;
        let response = self.next().await;
        assert_eq!(
            (response.command, response.sequence),
            (command::SUBMIT_SM_RESP, sequence)
        );
        response
    }
}

fn message(text: &str) -> ShortMessage {
    let (data_coding, octets) = encode(text, super::super::Coding::Auto).unwrap();
    ShortMessage {
        source: Address::of("OMNIGATE"),
        destination: Address::of("84912345678"),
        data_coding,
        short_message: octets.into(),
        ..ShortMessage::default()
    }
}

fn with_receipt(text: &str) -> ShortMessage {
    ShortMessage {
        registered_delivery: 1,
        ..message(text)
    }
}

fn text_of(message: &ShortMessage) -> String {
    decode(message.data_coding, message.octets()).unwrap()
}
