//! Jobs that go to a server together: their commits in one call of the script, their reads in another.

use super::{
    call::{COMMIT, Call, Form, READ, Script},
    commit, incarnation,
    job::{Done, Failure, Job, Work},
    node::{Connection, Settings},
    read,
};
use futures_util::future::join_all;
use omnigate_core::port::store::{Commit, Query};
use redis::{Cmd, RedisResult, Value};
use std::sync::Arc;

/// Most bytes of one call, unless a single job has more.
const CALL_BYTES: usize = 1 << 20;

/// Jobs on one connection.
pub(super) struct Batch {
    connection: Connection,
    settings: Arc<Settings>,
    jobs: Vec<Job>,
}

impl Batch {
    pub(super) fn new(connection: Connection, settings: Arc<Settings>, jobs: Vec<Job>) -> Self {
        Self {
            connection,
            settings,
            jobs,
        }
    }

    /// Ends every job.
    pub(super) async fn run(mut self) {
        let mut jobs = std::mem::take(&mut self.jobs);
        let kind = |job: &Job| (self.settings.by_shard.then_some(job.shard), kind(job));
        // Stable: what one caller asked first stays first.
        jobs.sort_by_key(kind);
        let mut calls: Vec<Vec<Job>> = Vec::new();
        let mut weight = 0;
        for job in jobs {
            let more = job.weight();
            match calls.last_mut() {
                Some(call)
                    if weight + more <= CALL_BYTES && call.last().is_some_and(|last| kind(last) == kind(&job)) =>
                {
                    weight += more;
                    call.push(job);
                }
                _ => {
                    weight = more;
                    calls.push(vec![job]);
                }
            }
        }
        join_all(calls.into_iter().map(|jobs| self.call(jobs))).await;
    }

    /// Ends jobs of one kind with one call.
    async fn call(&self, jobs: Vec<Job>) {
        let Some(first) = jobs.first() else { return };
        let kind = kind(first);
        if kind == Kind::Incarnation {
            return self.tell_incarnation(jobs).await;
        }
        let names = &self.settings.names;
        let answer = if kind == Kind::Commit {
            let commits: Vec<_> = jobs
                .iter()
                .filter_map(|job| Some((job.shard, as_commit(job)?)))
                .collect();
            self.ask(&COMMIT, &commit::encode(names, commits.into_iter())).await
        } else {
            let queries = jobs
                .iter()
                .flat_map(|job| as_queries(job).iter().map(|query| (job.shard, query)));
            self.ask(&READ, &read::encode(names, queries)).await
        };
        match answer {
            Ok(Value::Array(elements)) => end(jobs, elements),
            Ok(_) => fail(jobs, &Failure::Senseless),
            Err(failure) => {
                if matches!(failure, Failure::Lost(_) | Failure::ReadOnly) {
                    self.connection.give_up();
                }
                fail(jobs, &failure);
            }
        }
    }

    async fn tell_incarnation(&self, jobs: Vec<Job>) {
        match self.send(&redis::cmd("INFO")).await {
            Ok(info) => {
                let done = incarnation::read(&info);
                for job in jobs {
                    job.end(done.clone().map(Done::Incarnation).ok_or(Failure::Senseless));
                }
            }
            Err(error) => {
                let failure = Failure::of(&error);
                if matches!(failure, Failure::Lost(_)) {
                    self.connection.give_up();
                }
                fail(jobs, &failure);
            }
        }
    }

    async fn ask(&self, script: &Script, call: &Call) -> Result<Value, Failure> {
        let answer = match self.send(&call.command(script, Form::Digest)).await {
            // It did not run, so it can be sent again.
            Err(error) if error.code() == Some("NOSCRIPT") => self.send(&call.command(script, Form::Text)).await,
            answer => answer,
        };
        answer.map_err(|error| Failure::of(&error))
    }

    async fn send(&self, command: &Cmd) -> RedisResult<Value> {
        command.query_async(&mut self.connection.link.clone()).await
    }
}

fn end(jobs: Vec<Job>, elements: Vec<Value>) {
    let mut elements = elements.into_iter();
    for job in jobs {
        let done = match &*job.work {
            Work::Commit(commit) => elements
                .next()
                .and_then(|element| commit::decode(commit, element))
                .map(Done::Commit),
            Work::Read(queries) => queries
                .iter()
                .map(|query| read::decode(query, &mut elements))
                .collect::<Option<_>>()
                .map(Done::Read),
            Work::Incarnation => None,
        };
        job.end(done.ok_or(Failure::Senseless));
    }
}

fn fail(jobs: Vec<Job>, failure: &Failure) {
    for job in jobs {
        job.end(Err(failure.clone()));
    }
}

/// Jobs of one kind share a call.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Read,
    Commit,
    Incarnation,
}

fn kind(job: &Job) -> Kind {
    match &*job.work {
        Work::Read(_) => Kind::Read,
        Work::Commit(_) => Kind::Commit,
        Work::Incarnation => Kind::Incarnation,
    }
}

fn as_commit(job: &Job) -> Option<&Commit> {
    match &*job.work {
        Work::Commit(commit) => Some(commit),
        Work::Read(_) | Work::Incarnation => None,
    }
}

fn as_queries(job: &Job) -> &[Query] {
    match &*job.work {
        Work::Read(queries) => queries,
        Work::Commit(_) | Work::Incarnation => &[],
    }
}
