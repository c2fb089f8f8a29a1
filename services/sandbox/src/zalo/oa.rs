//! The OA Open API (`openapi.zalo.me`).

mod calls;
mod content;
mod groups;
mod message;
mod people;
mod quota;
mod send;
mod tags;
mod upload;

use super::{
    answer::{Outcome, Refused},
    params::Params,
    world::World,
};
pub(super) use content::{Composed, Shape};
pub(super) use send::Outgoing;

impl World {
    /// Runs a call of the OA that the token opened.
    pub(super) fn oa_call(&mut self, oa: usize, method: &str, path: &str, params: &Params) -> Outcome {
        if self.oas[oa].disabled {
            return Err(Refused::oa(-204));
        }
        match (method, path) {
            ("POST", "/v3.0/oa/message/cs") => self.consultation(oa, params.oa_body()?),
            ("POST", "/v3.0/oa/message/template") => self.template_by_uid(oa, params.oa_body()?),
            ("POST", "/v2.0/oa/message") => self.other_message(oa, params.oa_body()?),
            ("POST", "/v3.0/oa/group/message") => self.group_message(oa, params.oa_body()?),
            ("GET", "/v3.0/oa/group/getgroupsofoa") => self.groups_of_oa(oa, &params.oa_query()?),
            ("GET", "/v3.0/oa/group/listmember") => self.group_members(oa, &params.oa_query()?),
            ("POST", "/v2.0/oa/upload/image" | "/v2.0/oa/upload/gif" | "/v2.0/oa/upload/file") => {
                self.upload_of_oa(oa, path, params)
            }
            ("GET", "/v3.0/oa/user/detail") => self.user_detail(oa, &params.oa_query()?),
            ("GET", "/v3.0/oa/user/getlist") => self.user_list(oa, &params.oa_query()?),
            ("GET", "/v2.0/oa/conversation") => self.conversation(oa, &params.oa_query()?),
            ("GET", "/v2.0/oa/listrecentchat") => self.recent_chats(oa, &params.oa_query()?),
            ("GET", "/v2.0/oa/getoa") => Ok(self.profile(oa)),
            ("POST", "/v2.0/oa/tag/tagfollower") => self.tag(oa, params.oa_body()?, true),
            ("POST", "/v2.0/oa/tag/rmfollowerfromtag") => self.tag(oa, params.oa_body()?, false),
            ("POST", "/v2.0/oa/tag/rmtag") => self.remove_tag(oa, params.oa_body()?),
            ("GET", "/v2.0/oa/tag/gettagsofoa") => Ok(self.tags(oa)),
            ("POST", "/v3.0/oa/quota/message") => self.quota(oa, params.oa_body()?),
            ("POST", "/v2.0/oa/call/requestconsent") => self.request_consent(oa, params.oa_body()?),
            ("POST", "/v3.0/oa/call/outbound") => self.outbound_call(oa, params.oa_body()?),
            // What v3 replaced; of messages see `other_message`.
            ("GET", "/v2.0/oa/getprofile" | "/v2.0/oa/getfollowers") | ("POST", "/v2.0/oa/quota/message") => {
                Err(Refused::oa(-240))
            }
            // Transaction and promotion messages ended on 2026-03-01.
            _ => Err(Refused::oa(-209)),
        }
    }
}
