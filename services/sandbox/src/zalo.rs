//! Zalo's Official Account: the OA Open API, ZNS (ZBS) template messages, OAuth v4 and webhooks.
//!
//! One port serves what Zalo has on three hosts, since no path is of two of them: `/v2.0/oa/…` and `/v3.0/oa/…`
//! (`openapi.zalo.me`), `/message/…`, `/template/…`, `/rating/…`, `/response/…`, `/quality`, `/upload/image`
//! (`business.openapi.zalo.me`), `/v4/oa/…` (`oauth.zaloapp.com`); `/media/…` is where people's files can be fetched. It
//! gives whoever runs it a second face: people who write, press, follow, rate and refuse, admins who answer past the
//! gateway, faults on demand, and a record of everything. That second face is [`ZaloHandle`], and the same over HTTP under
//! `/control`.
//!
//! Where Zalo's documents leave doubt or contradict each other, [`Switches`] and [`Options`] let one choose.
//!
//! Left out on purpose: `https` webhooks (here there is no TLS, and ports are allowed), RSA and end-to-end encrypted
//! templates, journeys' tokens, articles' own endpoints, and the social login of `graph.zalo.me`.

mod act;
mod answer;
mod api;
mod app;
mod codes;
mod control;
mod delivery;
mod fault;
mod files;
mod handle;
mod journal;
mod oa;
mod oauth;
mod options;
mod params;
mod person;
mod schedule;
mod server;
mod template;
mod view;
mod webhook;
mod world;
mod zns;

pub use crate::clock::Clock;
pub use act::{Act, Action, AdminAct, AdminAction, ConsoleAction, Done, GroupChange, Media, PersonHandle};
pub use control::ControlError;
pub use fault::{Fault, FaultRule};
pub use handle::ZaloHandle;
pub use journal::{Counters, EventRecord, JournalEntry, SentMessage, Way};
pub use options::{
    AppOptions, AttachmentPlace, FreeMessages, OaOptions, Options, Probe, QuotaNumbers, SignatureTerm, Switches,
};
pub use person::{NewPerson, Unreachable, ZnsRefusal};
pub use schedule::EventServer;
pub use server::Zalo;
pub use template::{ParamType, Quality, Template, TemplateKind, TemplateParam, TemplateStatus, TemplateTag};
pub use view::{DeadlinePassed, View};
pub use webhook::WebhookToggles;
