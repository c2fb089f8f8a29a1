//! Templates of ours in the store: made, changed, archived, and found again.
//!
//! A version is written once and never again. A command that makes one is known by its name, which the version bears, and by
//! the number of the version it was meant to follow: repeated after a crash, it finds what it did.

use super::context::{Context, Ended, Loaded, MAX_TRIES, Stop, as_range, as_record};
use super::resolve::{expect_record, put};
use crate::id::TemplateId;
use crate::keys;
use crate::port::store::{Query, StoreError, Write};
use crate::template::MAX_VERSIONS;
use crate::time::Moment;
use bytes::Bytes;
use omnigate_proto::state::v1::{TemplateRecord, TemplateVersionRecord};
use omnigate_proto::v1::{Template, TemplateDefinition};
use prost::Message as _;
use std::ops::Bound;

/// How many of a tenant's templates are looked at for one page.
const MAX_SCANNED: usize = 1_000;
/// Most bytes of a page.
const MAX_PAGE: usize = 4 * 1024 * 1024;

/// A version of a template, and how the template stands.
#[derive(Clone, PartialEq, Debug)]
pub struct Version {
    /// Id of the template.
    pub id: TemplateId,
    /// Its number, from 1.
    pub number: u32,
    /// It.
    pub version: TemplateVersionRecord,
    /// The template.
    pub template: TemplateRecord,
}

/// What a command makes.
#[derive(Clone, PartialEq, Debug)]
pub struct Made {
    /// Tenant.
    pub tenant_id: String,
    /// The command's name, 16 bytes, the same for each repetition.
    pub command: Bytes,
    /// When it was asked for, the same for each repetition.
    pub at: Moment,
    /// What the version says.
    pub definition: TemplateDefinition,
}

/// Why nothing was made or changed.
#[derive(Debug, thiserror::Error)]
pub enum NotMade {
    /// There is no such template.
    #[error("there is no such template")]
    NoSuchTemplate,
    /// Somebody else has changed it.
    #[error("the template has changed")]
    Changed,
    /// It is out of use.
    #[error("the template is archived")]
    Archived,
    /// There is no room.
    #[error("a template has at most {MAX_VERSIONS} versions")]
    TooManyVersions,
    /// The store did not let it happen; trying again with the same request id goes on.
    #[error(transparent)]
    Stop(#[from] Stop),
}

impl From<StoreError> for NotMade {
    fn from(error: StoreError) -> Self {
        Self::Stop(error.into())
    }
}

/// A page of templates.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Page {
    /// Their newest versions.
    pub templates: Vec<Version>,
    /// The last one that was looked at, where there may be more.
    pub next: Option<TemplateId>,
}

impl Version {
    /// As it is shown.
    #[must_use]
    pub fn to_template(&self) -> Template {
        let archived_at = Moment(self.template.archived_at_ms);
        Template {
            template_id: self.id.to_string(),
            tenant_id: self.template.tenant_id.clone(),
            version: self.number,
            newest_version: self.template.newest,
            definition: self.version.definition.clone(),
            created_at: Some(Moment(self.version.created_at_ms).to_timestamp()),
            archived_at: self.is_archived().then(|| archived_at.to_timestamp()),
            etag: etag(self.template.newest),
        }
    }

    /// True when it is out of use.
    #[must_use]
    pub const fn is_archived(&self) -> bool {
        self.template.archived_at_ms != 0
    }
}

/// Names how a template stands.
fn etag(newest: u32) -> String {
    format!("v{newest}")
}

/// The newest version that an etag names; `None` when it is none of ours.
#[must_use]
pub fn read_etag(text: &str) -> Option<u32> {
    let number = text.strip_prefix('v')?.parse().ok()?;
    (etag(number) == text).then_some(number)
}

/// Makes a template with its first version.
pub async fn create(context: &Context<'_>, id: TemplateId, made: &Made) -> Result<Version, NotMade> {
    for _ in 0..MAX_TRIES {
        let (template, version) = look(context, id, 1).await?;
        if let (Some(template), Some(version)) = (template.value, version.value) {
            let same = version.command == made.command && template.tenant_id == made.tenant_id;
            return if same {
                Ok(of(id, 1, version, template))
            } else {
                Err(NotMade::Changed)
            };
        }
        let next = TemplateRecord {
            tenant_id: made.tenant_id.clone(),
            newest: 1,
            archived_at_ms: 0,
        };
        let version = made.version();
        let expect = vec![expect_record(keys::template(id), None)];
        let write = vec![
            put(keys::template(id), &next),
            put(keys::template_version(id, 1), &version),
            mark(id, &next),
        ];
        if let Ended::Committed(_) = context.commit(id.shard(), expect, write).await? {
            return Ok(of(id, 1, version, next));
        }
    }
    Err(Stop::Contended(MAX_TRIES).into())
}

/// Makes the version that follows `before`.
pub async fn update(context: &Context<'_>, id: TemplateId, before: u32, made: &Made) -> Result<Version, NotMade> {
    let number = before.checked_add(1).ok_or(NotMade::Changed)?;
    for _ in 0..MAX_TRIES {
        let (loaded, version) = look(context, id, number).await?;
        let template = of_tenant(loaded.value, &made.tenant_id)?;
        if let Some(version) = version.value {
            let same = version.command == made.command;
            return if same {
                Ok(of(id, number, version, template))
            } else {
                Err(NotMade::Changed)
            };
        }
        if template.archived_at_ms != 0 {
            return Err(NotMade::Archived);
        }
        if template.newest != before {
            return Err(NotMade::Changed);
        }
        if number > MAX_VERSIONS {
            return Err(NotMade::TooManyVersions);
        }
        let next = TemplateRecord {
            newest: number,
            ..template
        };
        let version = made.version();
        let expect = vec![expect_record(keys::template(id), loaded.stamp)];
        let write = vec![
            put(keys::template(id), &next),
            put(keys::template_version(id, number), &version),
        ];
        if let Ended::Committed(_) = context.commit(id.shard(), expect, write).await? {
            return Ok(of(id, number, version, next));
        }
    }
    Err(Stop::Contended(MAX_TRIES).into())
}

/// Takes a template out of use, when it still stands as `etag` says, where one is given; gives its newest version.
pub async fn archive(
    context: &Context<'_>,
    tenant_id: &str,
    id: TemplateId,
    etag: Option<u32>,
) -> Result<Version, NotMade> {
    for _ in 0..MAX_TRIES {
        let loaded: Loaded<TemplateRecord> = context.record(id.shard(), keys::template(id), "template").await?;
        let template = of_tenant(loaded.value, tenant_id)?;
        if template.archived_at_ms == 0 {
            if etag.is_some_and(|newest| newest != template.newest) {
                return Err(NotMade::Changed);
            }
            let next = TemplateRecord {
                archived_at_ms: context.now().0,
                ..template
            };
            let expect = vec![expect_record(keys::template(id), loaded.stamp)];
            let write = vec![put(keys::template(id), &next), mark(id, &next)];
            context.commit(id.shard(), expect, write).await?;
            continue;
        }
        let newest = version(context, tenant_id, id, template.newest).await?;
        return newest.ok_or(NotMade::NoSuchTemplate);
    }
    Err(Stop::Contended(MAX_TRIES).into())
}

/// A version of a tenant's template, or the newest for 0; `None` when there is none.
pub async fn version(
    context: &Context<'_>,
    tenant_id: &str,
    id: TemplateId,
    number: u32,
) -> Result<Option<Version>, StoreError> {
    let number = match number {
        0 => {
            let loaded: Loaded<TemplateRecord> = context.record(id.shard(), keys::template(id), "template").await?;
            loaded.value.map_or(0, |template| template.newest)
        }
        number => number,
    };
    let (template, version) = look(context, id, number).await?;
    let template = template.value.filter(|template| template.tenant_id == tenant_id);
    Ok(template
        .zip(version.value)
        .map(|(template, version)| of(id, number, version, template)))
}

/// Some of a tenant's templates behind one, the oldest first, with their newest versions.
pub async fn page(
    context: &Context<'_>,
    tenant_id: &str,
    after: Option<TemplateId>,
    limit: usize,
    also_archived: bool,
) -> Result<Page, StoreError> {
    let shard = TemplateId::shard_of(tenant_id);
    let mut page = Page {
        templates: Vec::new(),
        next: after,
    };
    let (mut scanned, mut bytes) = (0, 0);
    while scanned < MAX_SCANNED {
        let at_once = limit.clamp(1, 100);
        let from = page.next.map_or(Bound::Unbounded, |id| Bound::Excluded(id.to_bytes()));
        let query = Query::Range {
            key: keys::tenant_templates(tenant_id),
            from,
            to: Bound::Unbounded,
            limit: u32::try_from(at_once).unwrap_or(u32::MAX),
            reverse: false,
        };
        let members = as_range(context.store.read(shard, vec![query]).await?.into_iter().next())?;
        let is_last = members.len() < at_once;
        scanned += members.len();
        for (member, mark) in members {
            let Some(id) = TemplateId::from_bytes(&member) else {
                continue;
            };
            page.next = Some(id);
            if mark == keys::template_mark(true) && !also_archived {
                continue;
            }
            let Some(found) = version(context, tenant_id, id, 0).await? else {
                continue;
            };
            bytes += found.version.encoded_len();
            page.templates.push(found);
            if page.templates.len() >= limit || bytes > MAX_PAGE {
                return Ok(page);
            }
        }
        if is_last {
            page.next = None;
            return Ok(page);
        }
    }
    Ok(page)
}

impl Made {
    fn version(&self) -> TemplateVersionRecord {
        TemplateVersionRecord {
            definition: Some(self.definition.clone()),
            created_at_ms: self.at.0,
            command: self.command.clone(),
        }
    }
}

fn of(id: TemplateId, number: u32, version: TemplateVersionRecord, template: TemplateRecord) -> Version {
    Version {
        id,
        number,
        version,
        template,
    }
}

fn of_tenant(template: Option<TemplateRecord>, tenant_id: &str) -> Result<TemplateRecord, NotMade> {
    let own = template.filter(|template| template.tenant_id == tenant_id);
    own.ok_or(NotMade::NoSuchTemplate)
}

fn mark(id: TemplateId, template: &TemplateRecord) -> Write {
    Write::Insert {
        key: keys::tenant_templates(&template.tenant_id),
        member: id.to_bytes(),
        value: keys::template_mark(template.archived_at_ms != 0),
    }
}

/// A template and one of its versions, as they are at one moment.
async fn look(
    context: &Context<'_>,
    id: TemplateId,
    number: u32,
) -> Result<(Loaded<TemplateRecord>, Loaded<TemplateVersionRecord>), StoreError> {
    let queries = vec![
        Query::Record(keys::template(id)),
        Query::Record(keys::template_version(id, number)),
    ];
    let mut answers = context.store.read(id.shard(), queries).await?.into_iter();
    let template = Loaded::decode(as_record(answers.next())?, "template")?;
    let version = Loaded::decode(as_record(answers.next())?, "template version")?;
    Ok((template, version))
}
