use super::*;
use omnigate_core::port::adapter::{Transport, TransportError};
use omnigate_core::time::Moment;
use omnigate_proto::v1::{Part, Text as TextPart, part::Content};

/// A host without a token, which nobody may call.
struct Tokenless(NoAccessToken);

#[async_trait::async_trait]
impl Transport for Tokenless {
    async fn call(&self, _: HttpRequest) -> Result<HttpResponse, TransportError> {
        panic!("called without a token")
    }
}

#[async_trait::async_trait]
impl ChannelHost for Tokenless {
    fn transport(&self) -> &dyn Transport {
        self
    }

    fn now(&self) -> Moment {
        Moment(0)
    }

    async fn access_token(&self, _: Option<&str>) -> Result<AccessToken, NoAccessToken> {
        Err(self.0.clone())
    }
}

async fn error_of(missing: NoAccessToken) -> SendError {
    let outgoing = Outgoing {
        peer_type: "zalo_uid".into(),
        peer: "7".into(),
        peer_provider_form: String::new(),
        message: Message {
            parts: vec![Part {
                content: Some(Content::Text(TextPart {
                    text: "alo".into(),
                    ..TextPart::default()
                })),
            }],
            ..Message::default()
        },
        piece: 0,
        send_key: "K".into(),
        time_limit: Duration::from_secs(30),
    };
    let channel = OaChannel::new(OaSettings::for_tests());
    channel.send(&outgoing, &Tokenless(missing)).await.unwrap_err()
}

#[tokio::test]
async fn without_a_token_nothing_is_sent() {
    let unauthorized = error_of(NoAccessToken::Unauthorized("the refresh token was used".into())).await;
    assert_eq!(unauthorized.class(), ErrorClass::Account);
    assert_eq!(
        unauthorized.text,
        "the account has to be authorised: the refresh token was used"
    );
    let not_ready = error_of(NoAccessToken::NotReady("it is being fetched".into())).await;
    assert_eq!(not_ready.class(), ErrorClass::NotSent);
    assert_eq!(not_ready.retry_after_ms, 2000);
}

#[test]
fn capabilities_say_the_window() {
    let capabilities = OaChannel::new(OaSettings::for_tests()).capabilities();
    let window = capabilities.reply_window.unwrap();
    assert_eq!((window.free_ms, window.open_ms), (48 * 3_600_000, 168 * 3_600_000));
    assert_eq!(
        (capabilities.max_text, capabilities.text_unit.as_str()),
        (2000, "chars")
    );
}
