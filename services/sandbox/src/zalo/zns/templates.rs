//! An OA's templates: listing, proposing, editing.

use crate::zalo::{
    answer::{Outcome, Refused, Reply},
    files::FileKind,
    params::{Params, integer, text},
    template::{Quality, Template, TemplateKind, TemplateParam, TemplateStatus, TemplateTag},
    world::World,
};
use serde_json::{Value, json};

const MOST_LISTED: i64 = 100;
const NEW_PER_DAY: u32 = 100;
const LONGEST_IMAGE: usize = 500 << 10;
const MOST_TEMPLATES: usize = 10_000;

impl World {
    /// `GET /template/all`.
    pub(super) fn template_list(&self, oa: usize, params: &Params) -> Outcome {
        let number = |name: &str| match params.query.get(name) {
            None => Ok(None),
            Some(given) => integer(given).map(Some).ok_or_else(|| Refused::zns(-132).about(name)),
        };
        let offset = number("offset")?.unwrap_or(0);
        let limit = number("limit")?.unwrap_or(MOST_LISTED);
        let status = number("status")?;
        let in_range =
            offset >= 0 && (1..=MOST_LISTED).contains(&limit) && status.is_none_or(|at| (1..=4).contains(&at));
        let (Ok(offset), Ok(limit), true) = (usize::try_from(offset), usize::try_from(limit), in_range) else {
            return Err(Refused::zns(-132));
        };
        let found: Vec<&Template> = self.oas[oa]
            .templates
            .iter()
            .filter(|template| {
                template.status.query().is_some() && (status.is_none() || template.status.query() == status)
            })
            .collect();
        let now_ms = self.now().unix_ms;
        let listed: Vec<Value> = found
            .iter()
            .skip(offset)
            .take(limit)
            .map(|template| template.in_list(now_ms))
            .collect();
        Ok(Reply::data(json!(listed)).with("metadata", json!({"total": found.len()})))
    }

    fn asked_template(&self, oa: usize, params: &Params) -> Result<&Template, Refused> {
        let id = params.query.get("template_id").and_then(text);
        id.and_then(|id| self.oas[oa].template(&id))
            .filter(|template| template.status != TemplateStatus::Delete)
            .ok_or_else(|| Refused::zns(-109))
    }

    /// `GET /template/info/v2`.
    pub(super) fn template_info(&self, oa: usize, params: &Params) -> Outcome {
        Ok(Reply::data(self.asked_template(oa, params)?.info()))
    }

    /// `GET /template/sample-data`.
    pub(super) fn template_sample(&self, oa: usize, params: &Params) -> Outcome {
        Ok(Reply::data(self.asked_template(oa, params)?.sample_data()))
    }

    /// `POST /template/create`: comes under review. The layout is taken as it is; its parameters are read from `params`.
    pub(super) fn create_template(&mut self, oa: usize, body: &Value) -> Outcome {
        let draft = Proposal::read(body)?;
        self.take_new_template(oa)?;
        if self.oas[oa].templates.len() >= MOST_TEMPLATES {
            return Err(Refused::zns(-160));
        }
        // Above what any OA was given at start, so that no id is given twice.
        let highest = self
            .oas
            .iter()
            .flat_map(|oa| &oa.templates)
            .filter_map(|template| template.id.parse().ok());
        let id = (highest.max().unwrap_or(400_000_u64) + 1).to_string();
        self.oas[oa].templates.push(Template {
            id: id.clone(),
            name: draft.name,
            kind: draft.kind,
            tag: draft.tag,
            status: TemplateStatus::PendingReview,
            quality: Quality::Undefined,
            params: draft.params,
            by_uid: draft.kind != TemplateKind::Otp,
            daily_quota: None,
            price: 200,
        });
        Ok(proposed(&id))
    }

    /// `POST /template/edit`: only what was rejected.
    pub(super) fn edit_template(&mut self, oa: usize, body: &Value) -> Outcome {
        let id = text(&body["template_id"]).ok_or_else(|| Refused::zns(-109))?;
        let draft = Proposal::read(body)?;
        let template = self.oas[oa].template(&id).ok_or_else(|| Refused::zns(-109))?;
        if template.status != TemplateStatus::Reject {
            return Err(Refused::zns(-1091));
        }
        self.take_new_template(oa)?;
        if let Some(template) = self.oas[oa].template_mut(&id) {
            template.name = draft.name;
            template.kind = draft.kind;
            template.tag = draft.tag;
            template.params = draft.params;
            template.status = TemplateStatus::PendingReview;
        }
        Ok(proposed(&id))
    }

    fn take_new_template(&mut self, oa: usize) -> Result<(), Refused> {
        let now_ms = self.now().unix_ms;
        let used = self.oas[oa].used.at(now_ms);
        if used.new_templates >= NEW_PER_DAY {
            return Err(Refused::zns(-160));
        }
        used.new_templates += 1;
        Ok(())
    }

    /// `POST /upload/image`.
    pub(super) fn upload_of_zns(&mut self, oa: usize, params: &Params) -> Outcome {
        let file = params.file.as_ref().ok_or_else(|| Refused::zns(-132).about("file"))?;
        let name = file.name.to_ascii_lowercase();
        if ![".jpg", ".jpeg", ".png"].iter().any(|end| name.ends_with(end)) {
            return Err(Refused::zns(-159));
        }
        if file.bytes.len() > LONGEST_IMAGE {
            return Err(Refused::zns(-158));
        }
        let now_ms = self.now().unix_ms;
        let used = self.oas[oa].used.at(now_ms);
        if used.uploads >= self.options.uploads_per_month {
            return Err(Refused::zns(-115));
        }
        used.uploads += 1;
        self.journal.counters.uploads += 1;
        let mime = file.mime_type.clone().unwrap_or_default();
        let stored = self.add_file(oa, FileKind::ZnsImage, (file.name.clone(), mime), file.bytes.clone());
        Ok(Reply::data(json!({"media_id": stored.id})))
    }
}

fn proposed(id: &str) -> Reply {
    Reply::data(json!({"template_id": id, "template_status": TemplateStatus::PendingReview}))
}

/// A template as `create` and `edit` bring it.
struct Proposal {
    name: String,
    kind: TemplateKind,
    tag: TemplateTag,
    params: Vec<TemplateParam>,
}

impl Proposal {
    fn read(body: &Value) -> Result<Self, Refused> {
        let invalid = |field: &str| Refused::zns(-132).about(field);
        let name = text(&body["template_name"]).ok_or_else(|| invalid("template_name"))?;
        let kind = match integer(&body["template_type"]) {
            Some(1) => TemplateKind::Custom,
            Some(2) => TemplateKind::Otp,
            Some(3) => TemplateKind::Payment,
            Some(4) => TemplateKind::Voucher,
            Some(5) => TemplateKind::Rating,
            _ => return Err(invalid("template_type")),
        };
        let tag = match integer(&body["tag"]) {
            Some(1) => TemplateTag::Transaction,
            Some(2) => TemplateTag::CustomerCare,
            Some(3) => TemplateTag::Promotion,
            _ => return Err(invalid("tag")),
        };
        let params = match &body["params"] {
            Value::Null => Vec::new(),
            given => serde_json::from_value(given.clone()).map_err(|_| invalid("params"))?,
        };
        Ok(Self {
            name: name.into_owned(),
            kind,
            tag,
            params,
        })
    }
}
