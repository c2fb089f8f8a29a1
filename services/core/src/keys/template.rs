//! Names of templates of ours.

use super::key;
use crate::id::TemplateId;
use crate::port::store::Key;
use bytes::Bytes;

/// Record `state.v1.TemplateRecord`, in the template's shard.
#[must_use]
pub fn template(id: TemplateId) -> Key {
    key(b'T', &id.0)
}

/// Record `state.v1.TemplateVersionRecord` of a version, in the template's shard.
#[must_use]
pub fn template_version(id: TemplateId, version: u32) -> Key {
    key(b'T', &[&id.0[..], &version.to_be_bytes()].concat())
}

/// Index of the shard of a tenant's templates ([`TemplateId::shard_of`]): their ids. Those that are archived have a value.
#[must_use]
pub fn tenant_templates(tenant_id: &str) -> Key {
    key(b'Q', tenant_id.as_bytes())
}

/// Value of a template in [`tenant_templates`].
#[must_use]
pub const fn template_mark(is_archived: bool) -> Bytes {
    Bytes::from_static(if is_archived { b"a" } else { b"" })
}
