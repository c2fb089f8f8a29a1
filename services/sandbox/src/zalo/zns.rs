//! ZNS, now "ZBS Template Message" (`business.openapi.zalo.me`).
//!
//! Left out: encrypted templates (E2EE), RSA-encrypted phones and journeys' tokens; those paths answer `-106`.

mod questions;
mod send;
mod templates;

use super::{
    answer::{Outcome, Refused},
    params::Params,
    world::World,
};
use sha2::{Digest as _, Sha256};
use std::collections::{HashMap, VecDeque};

/// Lower-case hex of the SHA-256 of `84…`.
pub(super) fn phone_hash(phone: &str) -> String {
    data_encoding::HEXLOWER.encode(&Sha256::digest(phone))
}

/// A template message that was accepted.
#[derive(Clone, Debug)]
pub(super) struct ZnsMessage {
    pub(super) oa: usize,
    /// A phone, or its hash.
    pub(super) to: String,
    pub(super) person: u64,
    pub(super) template_id: String,
    pub(super) tracking_id: String,
    /// When the phone got it; never where absent.
    pub(super) delivered_ms: Option<i64>,
    /// What the person gave as a rating.
    pub(super) feedback: Option<serde_json::Value>,
}

/// The newest template messages, by id.
#[derive(Debug)]
pub(super) struct Sent {
    by_id: HashMap<String, ZnsMessage>,
    order: VecDeque<String>,
    limit: usize,
}

impl Sent {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            by_id: HashMap::new(),
            order: VecDeque::new(),
            limit: limit.max(1),
        }
    }

    pub(super) fn add(&mut self, id: &str, message: ZnsMessage) {
        self.order.push_back(id.to_owned());
        self.by_id.insert(id.to_owned(), message);
        if self.order.len() > self.limit
            && let Some(oldest) = self.order.pop_front()
        {
            self.by_id.remove(&oldest);
        }
    }

    pub(super) fn get(&self, id: &str) -> Option<&ZnsMessage> {
        self.by_id.get(id)
    }

    pub(super) fn get_mut(&mut self, id: &str) -> Option<&mut ZnsMessage> {
        self.by_id.get_mut(id)
    }

    /// Oldest first.
    pub(super) fn of(&self, oa: usize) -> impl Iterator<Item = (&str, &ZnsMessage)> {
        let known = self
            .order
            .iter()
            .filter_map(|id| Some((id.as_str(), self.by_id.get(id)?)));
        known.filter(move |(_, message)| message.oa == oa)
    }
}

impl World {
    /// Runs a call of the OA that the token opened.
    pub(super) fn zns_call(&mut self, oa: usize, method: &str, path: &str, params: &Params) -> Outcome {
        match (method, path) {
            ("POST", "/message/template") => self.send_zns(oa, params.zns_body()?, false),
            ("POST", "/message/template/hashphone") => self.send_zns(oa, params.zns_body()?, true),
            ("GET", "/message/status") => self.zns_status(oa, params),
            ("GET", "/message/quota") => Ok(self.zns_quota(oa)),
            ("GET", "/message/template-tag") => Ok(self.zns_tags(oa)),
            ("GET", "/quality") => Ok(self.zns_quality(oa)),
            ("GET", "/rating/get") => self.ratings(oa, params),
            ("POST", "/response/get") => self.responses(oa, params.zns_body()?),
            ("GET", "/template/all") => self.template_list(oa, params),
            ("GET", "/template/info" | "/template/info/v2") => self.template_info(oa, params),
            ("GET", "/template/sample-data") => self.template_sample(oa, params),
            ("POST", "/template/create") => self.create_template(oa, params.zns_body()?),
            ("POST", "/template/edit") => self.edit_template(oa, params.zns_body()?),
            ("POST", "/upload/image") => self.upload_of_zns(oa, params),
            _ => Err(Refused::zns(-106)),
        }
    }
}
