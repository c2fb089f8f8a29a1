//! Audiences: lists that imports fill, over gRPC and from files, segments, exclusions; and what becomes of rows at merges and
//! erasures.

use crate::World;
use crate::identity::{at_kiosk, says};
use crate::privacy::{erase, export};
use anyhow::{Context as _, ensure};
use futures_util::stream;
use omnigate_proto::v1::create_audience_request::Kind;
use omnigate_proto::v1::exported_item::Item;
use omnigate_proto::v1::import_audience_request::Part;
use omnigate_proto::v1::{
    Audience, AudienceList, AudienceMember, AudienceSegment, CreateAudienceRequest, DeleteAudienceRequest,
    ExcludedAudiences, GetAudienceRequest, GetImportRequest, Identifier, Import, ImportAudienceRequest, ImportRow,
    ImportRows, ImportStart, ListAudiencesRequest, ListMembersRequest, PreviewAudienceRequest, PreviewAudienceResponse,
    RowProblem, UpdateAudienceRequest,
};
use omnigate_rpc::error::reason;
use omnigate_tests::process::binary;
use omnigate_tests::reading::{arrived, customer_of};
use std::collections::BTreeMap;
use tokio::process::Command;
use tonic::{Code, Status};

pub(crate) async fn scenes(world: &World) -> anyhow::Result<()> {
    rows_become_members_once(world).await?;
    a_file_is_imported_and_its_problems_are_told(world).await?;
    segments_and_exclusions_say_who_is_meant(world).await?;
    what_makes_no_sense_is_refused(world).await?;
    whoever_is_erased_is_in_no_list(world).await
}

fn of(kind: &str, value: &str) -> Identifier {
    Identifier {
        r#type: kind.to_owned(),
        scope: String::new(),
        value: value.to_owned(),
    }
}

fn row(number: u64, identifiers: &[Identifier], name: &str) -> ImportRow {
    ImportRow {
        row: number,
        identifiers: identifiers.to_vec(),
        variables: BTreeMap::from([("ten".to_owned(), name.to_owned())]),
        display_name: name.to_owned(),
        ..ImportRow::default()
    }
}

async fn create(world: &World, name: &str, filter: &str, excluded: &[&Audience]) -> anyhow::Result<Audience> {
    let kind = match filter {
        "" => Kind::List(AudienceList {}),
        filter => Kind::Segment(AudienceSegment {
            filter: filter.to_owned(),
        }),
    };
    let asked = CreateAudienceRequest {
        display_name: name.to_owned(),
        kind: Some(kind),
        excluded_audience_ids: excluded.iter().map(|audience| audience.audience_id.clone()).collect(),
        request_id: format!("audience-{name}"),
    };
    let answer = world.connection.audiences().create_audience(asked).await?;
    answer.into_inner().audience.context("no audience")
}

async fn import(world: &World, audience: &Audience, id: &str, messages: &[&[ImportRow]]) -> Result<Import, Status> {
    let start = ImportStart {
        audience_id: audience.audience_id.clone(),
        import_id: id.to_owned(),
        merge_customers: false,
    };
    let rows = messages
        .iter()
        .map(|rows| Part::Rows(ImportRows { rows: rows.to_vec() }));
    let parts: Vec<ImportAudienceRequest> = std::iter::once(Part::Start(start))
        .chain(rows)
        .map(|part| ImportAudienceRequest { part: Some(part) })
        .collect();
    let answer = world
        .connection
        .audiences()
        .import_audience(stream::iter(parts))
        .await?;
    let answer = answer.into_inner();
    assert!(answer.complete, "{answer:?}");
    Ok(answer.import.unwrap_or_default())
}

fn counts(import: &Import) -> [u64; 4] {
    [import.created, import.updated, import.unchanged, import.failed]
}

async fn members(world: &World, audience: &Audience) -> anyhow::Result<Vec<AudienceMember>> {
    let (mut all, mut page_token) = (Vec::new(), String::new());
    loop {
        let asked = ListMembersRequest {
            audience_id: audience.audience_id.clone(),
            page_size: 2,
            page_token,
        };
        let page = world.connection.audiences().list_members(asked).await?.into_inner();
        all.extend(page.members);
        page_token = page.next_page_token;
        if page_token.is_empty() {
            all.sort_by(|one, other| one.display_name.cmp(&other.display_name));
            return Ok(all);
        }
    }
}

async fn preview(world: &World, audience: &Audience) -> anyhow::Result<PreviewAudienceResponse> {
    let mut sum = PreviewAudienceResponse::default();
    loop {
        let asked = PreviewAudienceRequest {
            audience_id: audience.audience_id.clone(),
            sample_size: 20,
            page_token: std::mem::take(&mut sum.next_page_token),
        };
        let part = world.connection.audiences().preview_audience(asked).await?.into_inner();
        sum.count += part.count;
        sum.excluded += part.excluded;
        sum.samples.extend(part.samples);
        sum.next_page_token = part.next_page_token;
        if sum.next_page_token.is_empty() {
            return Ok(sum);
        }
    }
}

async fn import_of(world: &World, audience: &Audience, id: &str) -> anyhow::Result<(Import, Vec<RowProblem>)> {
    let (mut problems, mut page_token) = (Vec::new(), String::new());
    loop {
        let asked = GetImportRequest {
            audience_id: audience.audience_id.clone(),
            import_id: id.to_owned(),
            page_size: 1,
            page_token,
        };
        let page = world.connection.audiences().get_import(asked).await?.into_inner();
        problems.extend(page.problems);
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return Ok((page.import.context("no import")?, problems));
        }
    }
}

fn names(members: &[AudienceMember]) -> Vec<&str> {
    members.iter().map(|member| member.display_name.as_str()).collect()
}

/// Two new ones, one who is known, one who is nobody, and one who would be two.
fn people(known: &Identifier) -> [ImportRow; 5] {
    [
        row(1, &[of("phone", "0900000551")], "An"),
        row(
            2,
            &[of("phone", "+84 900 000 552"), of("email", "Binh551@Example.vn")],
            "Bình",
        ),
        row(3, &[known.clone(), of("phone", "0900000553")], "Hạnh"),
        row(4, &[of("phone", "12")], "nobody"),
        row(
            5,
            &[of("phone", "0900000551"), of("email", "binh551@example.vn")],
            "two",
        ),
    ]
}

async fn rows_become_members_once(world: &World) -> anyhow::Result<()> {
    let list = create(world, "rows", "", &[]).await?;
    ensure!(
        create(world, "rows", "", &[]).await? == list,
        "a request makes one audience"
    );
    let known = at_kiosk("hanh");
    says(world, &known, &[], "hạnh chào").await?;
    let hanh = arrived(&world.connection, &known).await?;
    let rows = people(&known);
    let first = import(world, &list, "1", &[&rows[..2], &rows[2..]]).await?;
    ensure!(counts(&first) == [3, 0, 0, 2] && first.next_row == 6, "{first:?}");
    // Wholly, in other messages; and only its end.
    for again in [&[&rows[..]][..], &[&rows[3..]]] {
        let again = import(world, &list, "1", again).await?;
        ensure!(counts(&again) == counts(&first), "{again:?}");
    }
    let (import_again, problems) = import_of(world, &list, "1").await?;
    ensure!(
        counts(&import_again) == counts(&first) && import_again.finished_at.is_some(),
        "{import_again:?}"
    );
    let told: Vec<(u64, &str, &str)> = problems
        .iter()
        .map(|problem| (problem.row, problem.field.as_str(), problem.reason.as_str()))
        .collect();
    let expected = [
        (4, "identifiers[0]", "FIELD_INVALID"),
        (5, "identifiers[1]", "CUSTOMERS_DIFFER"),
    ];
    ensure!(told == expected, "{told:?}");
    let found = members(world, &list).await?;
    ensure!(names(&found) == ["An", "Bình", "Hạnh"], "{found:?}");
    ensure!(found[2].customer_id == hanh.customer_id, "{found:?}");
    ensure!(
        found[1].variables.get("ten").is_some_and(|name| name == "Bình"),
        "{found:?}"
    );
    let phone = customer_of(&world.connection, of("phone", "+84900000553")).await?;
    ensure!(phone.is_some_and(|customer| customer.customer_id == hanh.customer_id));
    let binh = customer_of(&world.connection, of("email", "binh551@example.vn")).await?;
    ensure!(binh.is_some_and(|customer| customer.identifiers.len() == 2));
    let asked = GetAudienceRequest {
        audience_id: list.audience_id.clone(),
    };
    let counted = world.connection.audiences().get_audience(asked).await?.into_inner();
    ensure!(counted.audience.is_some_and(|audience| audience.member_count == 3));
    let later = import(world, &list, "2", &[&[row(1, &[of("phone", "0900000551")], "An An")]]).await?;
    ensure!(counts(&later) == [0, 1, 0, 0], "{later:?}");
    Ok(())
}

async fn omnigate(world: &World, arguments: &[&str]) -> anyhow::Result<(String, String)> {
    let output = Command::new(binary()?)
        .args(arguments)
        .current_dir(world.gateway.path())
        .env("OMNIGATE_ENDPOINT", world.gateway.api())
        .env("OMNIGATE_TOKEN", world.gateway.token()?)
        .output()
        .await?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    ensure!(output.status.success(), "{arguments:?}: {out}\n{err}");
    Ok((out, err))
}

async fn a_file_is_imported_and_its_problems_are_told(world: &World) -> anyhow::Result<()> {
    let file = "\u{feff}Số ĐT;email;ten;locale\r\n0900000561;;\"Lê; An\";vi\r\n0900000562;xx;Bình;\r\n0900000563\r\n;c561@example.vn;Cúc;vi-VN\r\n";
    std::fs::write(world.gateway.path().join("khach.csv"), file)?;
    let lines = "{\"phone\":\"0900000564\",\"ten\":\"Dung\"}\n{\"phone\":\"0900000561\",\"ten\":\"An\"}\n";
    std::fs::write(world.gateway.path().join("khach.jsonl"), lines)?;
    omnigate(world, &["audience", "create", "khách"]).await?;
    let import = [
        "audience",
        "import",
        "khach.csv",
        "--audience",
        "khách",
        "--map",
        "Số ĐT=identifier:phone",
        "--errors",
        "loi.csv",
    ];
    // Again it is the same import.
    for _ in 0..2 {
        let (out, _) = omnigate(world, &import).await?;
        ensure!(
            out.starts_with("2 created, 0 updated, 0 unchanged, 2 with problems"),
            "{out}"
        );
        let problems = std::fs::read_to_string(world.gateway.path().join("loi.csv"))?;
        let expected = "row,column,reason,problem\n3,email,FIELD_INVALID,a mail address must be local@domain\n4,,UNREADABLE,1 columns instead of 4\n";
        ensure!(problems == expected, "{problems}");
    }
    let (out, _) = omnigate(world, &["audience", "import", "khach.jsonl", "--audience", "khách"]).await?;
    ensure!(
        out.starts_with("1 created, 1 updated, 0 unchanged, 0 with problems"),
        "{out}"
    );
    let (out, _) = omnigate(world, &["audience", "members", "khách", "--output", "json"]).await?;
    let mut names: Vec<String> = Vec::new();
    for line in out.lines() {
        let member: serde_json::Value = serde_json::from_str(line)?;
        names.push(member["variables"]["ten"].as_str().unwrap_or_default().to_owned());
    }
    names.sort();
    ensure!(names == ["An", "Cúc", "Dung"], "{names:?}");
    let (out, _) = omnigate(world, &["audience", "preview", "khách", "--samples", "1"]).await?;
    ensure!(out.starts_with("3 customers, 0 more are left out"), "{out}");
    let (out, _) = omnigate(world, &["audience", "list"]).await?;
    ensure!(out.contains("khách"), "{out}");
    let (out, _) = omnigate(world, &["audience", "get", "khách", "--output", "json"]).await?;
    ensure!(out.contains("\"memberCount\":\"3\""), "{out}");
    let (out, _) = omnigate(world, &["audience", "delete", "khách"]).await?;
    ensure!(out.contains("3 rows would be deleted"), "{out}");
    omnigate(world, &["audience", "delete", "khách", "--yes"]).await?;
    let asked = ListAudiencesRequest::default();
    let left = world.connection.audiences().list_audiences(asked).await?.into_inner();
    ensure!(left.audiences.iter().all(|audience| audience.display_name != "khách"));
    // No customer went with it.
    ensure!(
        customer_of(&world.connection, of("phone", "+84900000561"))
            .await?
            .is_some()
    );
    Ok(())
}

async fn segments_and_exclusions_say_who_is_meant(world: &World) -> anyhow::Result<()> {
    let all = create(world, "all", "", &[]).await?;
    let bought = create(world, "bought", "", &[]).await?;
    let rows: Vec<ImportRow> = (1..=5)
        .map(|number| {
            row(
                number,
                &[
                    of("phone", &format!("090000057{number}")),
                    of("crm", &format!("seg-{number}")),
                ],
                "x",
            )
        })
        .collect();
    import(world, &all, "1", &[&rows]).await?;
    import(world, &bought, "1", &[&rows[..2]]).await?;
    let filter = "customer.identifiers.exists(i, i.type == \"crm\" && i.value.startsWith(\"seg-\"))";
    let segment = create(world, "segment", filter, &[&bought]).await?;
    let meant = preview(world, &segment).await?;
    ensure!(
        (meant.count, meant.excluded, meant.samples.len()) == (3, 2, 3),
        "{meant:?}"
    );
    ensure!(members(world, &segment).await?.len() == 5);
    narrowed_once(world, &segment, &filter.replace("seg-", "seg-5")).await?;
    ensure!(preview(world, &segment).await?.count == 1);
    deleted_when_free(world, &bought, &segment).await?;
    let refused = import(world, &bought, "2", &[&rows])
        .await
        .err()
        .context("it is deleted")?;
    ensure!(reason(&refused).as_deref() == Some("AUDIENCE_NOT_FOUND"), "{refused:?}");
    Ok(())
}

/// A segment is changed once by a request, and not in a version that it has no more.
async fn narrowed_once(world: &World, segment: &Audience, filter: &str) -> anyhow::Result<()> {
    let narrower = UpdateAudienceRequest {
        audience_id: segment.audience_id.clone(),
        segment: Some(AudienceSegment {
            filter: filter.to_owned(),
        }),
        etag: segment.etag.clone(),
        request_id: "audience-update".to_owned(),
        ..UpdateAudienceRequest::default()
    };
    for _ in 0..2 {
        let changed = world
            .connection
            .audiences()
            .update_audience(narrower.clone())
            .await?
            .into_inner();
        ensure!(changed.audience.is_some_and(|changed| changed.etag != segment.etag));
    }
    let late = UpdateAudienceRequest {
        request_id: "audience-late".to_owned(),
        ..narrower
    };
    let refused = world.connection.audiences().update_audience(late).await.err();
    let refused = refused.context("an old version was changed")?;
    ensure!(
        refused.code() == Code::Aborted && reason(&refused).as_deref() == Some("ETAG_MISMATCH"),
        "{refused:?}"
    );
    Ok(())
}

/// What a segment excludes is there as long as it does.
async fn deleted_when_free(world: &World, bought: &Audience, segment: &Audience) -> anyhow::Result<()> {
    let used = DeleteAudienceRequest {
        audience_id: bought.audience_id.clone(),
        request_id: "audience-used".to_owned(),
        ..DeleteAudienceRequest::default()
    };
    let refused = world
        .connection
        .audiences()
        .delete_audience(used)
        .await
        .err()
        .context("it is in use")?;
    ensure!(reason(&refused).as_deref() == Some("AUDIENCE_IN_USE"), "{refused:?}");
    let free = UpdateAudienceRequest {
        audience_id: segment.audience_id.clone(),
        excluded: Some(ExcludedAudiences::default()),
        request_id: "audience-free".to_owned(),
        ..UpdateAudienceRequest::default()
    };
    world.connection.audiences().update_audience(free).await?;
    let gone = DeleteAudienceRequest {
        audience_id: bought.audience_id.clone(),
        request_id: "audience-gone".to_owned(),
        ..DeleteAudienceRequest::default()
    };
    for _ in 0..2 {
        world.connection.audiences().delete_audience(gone.clone()).await?;
    }
    Ok(())
}

async fn what_makes_no_sense_is_refused(world: &World) -> anyhow::Result<()> {
    let wrong = create(world, "wrong", "customer.nonsense == 1", &[]).await;
    ensure!(wrong.is_err_and(|refused| format!("{refused:?}").contains("segment.filter")));
    let segment = create(world, "only", "true", &[]).await?;
    let rows = [row(1, &[of("phone", "0900000581")], "x")];
    let refused = import(world, &segment, "1", &[&rows])
        .await
        .err()
        .context("a segment took rows")?;
    ensure!(reason(&refused).as_deref() == Some("NOT_A_LIST"), "{refused:?}");
    let list = create(world, "order", "", &[]).await?;
    let refused = import(world, &list, "1", &[&rows, &rows])
        .await
        .err()
        .context("a row came twice")?;
    ensure!(refused.code() == Code::InvalidArgument, "{refused:?}");
    let empty = world
        .connection
        .audiences()
        .import_audience(stream::iter(Vec::new()))
        .await;
    ensure!(empty.is_err_and(|refused| refused.code() == Code::InvalidArgument));
    let asked = GetImportRequest {
        audience_id: list.audience_id.clone(),
        import_id: "never".to_owned(),
        ..GetImportRequest::default()
    };
    let refused = world
        .connection
        .audiences()
        .get_import(asked)
        .await
        .err()
        .context("no import")?;
    ensure!(reason(&refused).as_deref() == Some("IMPORT_NOT_FOUND"), "{refused:?}");
    Ok(())
}

async fn whoever_is_erased_is_in_no_list(world: &World) -> anyhow::Result<()> {
    let list = create(world, "erased", "", &[]).await?;
    let rows = [
        row(1, &[of("phone", "0900000591")], "Giang"),
        row(2, &[of("phone", "0900000592")], "Hương"),
    ];
    import(world, &list, "1", &[&rows]).await?;
    let giang = customer_of(&world.connection, of("phone", "+84900000591"))
        .await?
        .context("nobody")?;
    let exported = export(world, &giang.customer_id).await?;
    let membership = exported.iter().find_map(|item| match item {
        Item::AudienceMembership(membership) => Some(membership),
        _ => None,
    });
    let membership = membership.context("the copy says nothing of the list")?;
    let member = membership.member.clone().unwrap_or_default();
    ensure!(
        membership.audience_id == list.audience_id && member.display_name == "Giang",
        "{membership:?}"
    );
    erase(world, &giang.customer_id, "audience-erase").await?;
    ensure!(names(&members(world, &list).await?) == ["Hương"]);
    Ok(())
}
