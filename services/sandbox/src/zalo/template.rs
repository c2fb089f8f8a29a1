//! ZNS (ZBS) templates, and what may stand in their parameters.

use super::answer::Refused;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

/// Kinds of templates, with Zalo's numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TemplateKind {
    /// 1.
    Custom,
    /// 2.
    Otp,
    /// 3.
    Payment,
    /// 4.
    Voucher,
    /// 5.
    Rating,
}

impl TemplateKind {
    pub(super) fn number(self) -> u8 {
        self as u8 + 1
    }
}

/// What a template is for, with Zalo's numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum TemplateTag {
    /// 1.
    Transaction,
    /// 2.
    CustomerCare,
    /// 3.
    Promotion,
}

/// What Zalo's review came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[expect(missing_docs, reason = "Zalo's own words")]
pub enum TemplateStatus {
    Enable,
    PendingReview,
    Reject,
    Disable,
    Delete,
}

impl TemplateStatus {
    /// The number in `status=` of a listing; deleted ones are never listed.
    pub(super) fn query(self) -> Option<i64> {
        match self {
            Self::Enable => Some(1),
            Self::PendingReview => Some(2),
            Self::Reject => Some(3),
            Self::Disable => Some(4),
            Self::Delete => None,
        }
    }
}

/// How people receive what is sent by a template.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[expect(missing_docs, reason = "Zalo's own words")]
pub enum Quality {
    High,
    Medium,
    Low,
    Undefined,
}

/// What a parameter holds; each type has its greatest length.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "Zalo's own words")]
pub enum ParamType {
    Name,
    Phone,
    Address,
    Code,
    Label,
    Status,
    Contact,
    Gender,
    Product,
    Amount,
    Time,
    Otp,
    Url,
    Currency,
    BankNote,
}

impl ParamType {
    /// In characters.
    pub(super) fn longest(self) -> usize {
        match self {
            Self::Name | Self::Code | Self::Label | Self::Status => 30,
            Self::Phone => 15,
            Self::Address | Self::Product | Self::Url => 200,
            Self::Contact => 50,
            Self::Gender => 5,
            Self::Amount | Self::Time => 20,
            Self::Otp => 10,
            Self::Currency => 12,
            Self::BankNote => 90,
        }
    }

    /// Zalo documents that formats are checked, not how; these are the least that the types' names say.
    fn fits(self, text: &str) -> bool {
        let all = |legal: fn(char) -> bool| !text.is_empty() && text.chars().all(legal);
        match self {
            Self::Phone => all(|c| c.is_ascii_digit() || "+ .-()".contains(c)),
            Self::Otp => all(|c| c.is_ascii_alphanumeric()),
            Self::Currency => all(|c| c.is_ascii_digit() || c == '.' || c == ','),
            Self::Url => text.starts_with("https://") || text.starts_with("http://"),
            _ => !text.trim().is_empty() && !text.chars().any(char::is_control),
        }
    }
}

/// One parameter of a template.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TemplateParam {
    /// The key in `template_data`.
    pub name: String,
    /// What it holds.
    #[serde(rename = "type")]
    pub kind: ParamType,
    /// Whether it must be there.
    #[serde(default = "yes")]
    pub required: bool,
}

fn yes() -> bool {
    true
}

/// One template of an OA.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Template {
    /// Decimal.
    pub id: String,
    /// What the console shows.
    pub name: String,
    /// Its kind.
    pub kind: TemplateKind,
    /// Its purpose.
    pub tag: TemplateTag,
    /// Only `ENABLE` can be sent.
    pub status: TemplateStatus,
    /// How it is received.
    pub quality: Quality,
    /// What its text names.
    pub params: Vec<TemplateParam>,
    /// Whether it can be sent by user id; templates made before 2025-12-10 cannot, nor can OTP.
    pub by_uid: bool,
    /// Messages a day; no limit where absent.
    pub daily_quota: Option<u32>,
    /// VND a message.
    pub price: u32,
}

impl Template {
    /// What a fresh OA has: an order, an OTP and a rating template, and one that is still under review.
    #[must_use]
    pub fn samples() -> Vec<Self> {
        let param = |name: &str, kind| TemplateParam {
            name: name.to_owned(),
            kind,
            required: true,
        };
        let template = |id: &str, name: &str, kind, params| Self {
            id: id.to_owned(),
            name: name.to_owned(),
            kind,
            tag: TemplateTag::Transaction,
            status: TemplateStatus::Enable,
            quality: Quality::High,
            params,
            by_uid: kind != TemplateKind::Otp,
            daily_quota: None,
            price: 200,
        };
        let order = vec![
            param("customer_name", ParamType::Name),
            param("order_code", ParamType::Code),
            TemplateParam {
                required: false,
                ..param("note", ParamType::Product)
            },
        ];
        let rating = vec![param("customer_name", ParamType::Name)];
        let mut samples = vec![
            template("300001", "Xác nhận đơn hàng", TemplateKind::Custom, order),
            template(
                "300002",
                "Mã xác thực",
                TemplateKind::Otp,
                vec![param("otp", ParamType::Otp)],
            ),
            template("300003", "Đánh giá dịch vụ", TemplateKind::Rating, rating.clone()),
            template("300004", "Khuyến mãi", TemplateKind::Custom, rating),
        ];
        samples[3].status = TemplateStatus::PendingReview;
        samples[3].tag = TemplateTag::Promotion;
        samples
    }

    /// Holds `data` against the parameters. Keys that the template does not name are passed over, as Zalo does.
    pub(super) fn check(&self, data: Option<&Value>) -> Result<(), Refused> {
        let data = data
            .and_then(Value::as_object)
            .filter(|data| !data.is_empty())
            .ok_or_else(|| Refused::zns(-111))?;
        self.params.iter().try_for_each(|param| param.check(data))
    }

    /// As `template/all` lists it.
    pub(super) fn in_list(&self, created_ms: i64) -> Value {
        json!({
            "templateId": self.number(), "templateName": self.name, "createdTime": created_ms,
            "status": self.status, "templateQuality": self.quality,
        })
    }

    /// As `template/info/v2` tells it.
    pub(super) fn info(&self) -> Value {
        let params: Vec<Value> = self
            .params
            .iter()
            .map(|param| {
                json!({
                    "name": param.name, "require": param.required, "type": param.kind,
                    "maxLength": param.kind.longest(), "minLength": 1, "acceptNull": !param.required,
                })
            })
            .collect();
        json!({
            "templateId": self.number(), "templateName": self.name, "status": self.status,
            "templateQuality": self.quality, "templateTag": self.tag, "templateType": self.kind.number(),
            "listParams": params, "listButtons": [], "timeout": 7_200_000, "price": format!("{}.0", self.price),
            "previewUrl": format!("https://account.zalo.cloud/znspreview/{}", self.id),
            "applyTemplateQuota": self.daily_quota.is_some(), "templateDailyQuota": self.daily_quota,
        })
    }

    /// Ids are strings in requests and numbers in listings.
    fn number(&self) -> Value {
        self.id
            .parse::<u64>()
            .map_or_else(|_| json!(self.id), |number| json!(number))
    }

    /// As `template/sample-data` answers it.
    pub(super) fn sample_data(&self) -> Value {
        let sample = |kind| match kind {
            ParamType::Phone => "84912000111",
            ParamType::Url => "https://shop.example",
            ParamType::Otp => "123456",
            ParamType::Currency | ParamType::Amount => "100000",
            ParamType::Time => "08:00 01/01/2026",
            _ => "mẫu",
        };
        let fields: Map<String, Value> = self
            .params
            .iter()
            .map(|param| (param.name.clone(), json!(sample(param.kind))))
            .collect();
        Value::Object(fields)
    }
}

impl TemplateParam {
    fn check(&self, data: &Map<String, Value>) -> Result<(), Refused> {
        let named = |code| Refused::zns(code).about(&self.name);
        let text = match data.get(&self.name) {
            None | Some(Value::Null) if self.required => return Err(named(-1122)),
            None | Some(Value::Null) => return Ok(()),
            Some(Value::String(text)) => text.clone(),
            Some(Value::Number(number)) => number.to_string(),
            Some(_) => return Err(named(-1124)),
        };
        if text.chars().count() > self.kind.longest() {
            return Err(named(-1121));
        }
        if text.is_empty() && !self.required {
            return Ok(());
        }
        if self.kind.fits(&text) {
            Ok(())
        } else {
            Err(named(-1124))
        }
    }
}

#[cfg(test)]
mod tests;
