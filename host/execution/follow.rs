//! An execution as a stream of events: what was said, then how it ended. The same whether it runs here, waits, or ended
//! long ago, so a reader that was cut off goes on where it was.

use std::collections::VecDeque;
use std::sync::Arc;

use serde_json::json;

use super::live::Live;
use super::{Error, Executions, Outcome};
use crate::id::{ExecutionId, WorkspaceId};
use crate::store::{Execution, OutputRow};

/// Outputs that are read from the store at one time.
const STORED_MAX: u32 = 500;

/// One event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// `<attempt>-<n>`, rising; the end of the execution has `end`.
    pub id: String,
    /// `say`, `progress` or `end`.
    pub name: &'static str,
    /// JSON.
    pub data: String,
}

/// Reads the events of one execution.
pub struct Follow {
    executions: Executions,
    workspace: WorkspaceId,
    id: ExecutionId,
    after: (u32, u32),
    ready: VecDeque<Event>,
    /// True while the store may have outputs that come before those of the running attempt.
    behind: bool,
    live: Option<Reading>,
    ended: bool,
}

/// A place in what a running execution says.
struct Reading {
    live: Arc<Live>,
    position: usize,
}

impl Drop for Reading {
    fn drop(&mut self) {
        self.live.reader_goes();
    }
}

impl Executions {
    /// Follows an execution from after the event `after` (an [`Event::id`]); from the beginning when there is none.
    pub async fn follow(&self, workspace: WorkspaceId, id: ExecutionId, after: Option<&str>) -> Result<Follow, Error> {
        // The entry first, then the look into the store: an execution that ends in between is seen by one of them.
        let live = self.0.live.enter(id);
        let found = self.find(workspace, id).await;
        if found.as_ref().is_ok_and(|execution| !execution.status.is_final()) {
            let live = Some(Reading::of(live));
            return Ok(Follow { live, behind: true, ..self.unstarted(workspace, id, after) });
        }
        self.0.live.leave(id, live);
        found.map(|_| self.unstarted(workspace, id, after))
    }

    /// Follows an execution that was just started here.
    pub(super) fn follow_live(&self, workspace: WorkspaceId, id: ExecutionId, live: Arc<Live>) -> Follow {
        Follow { live: Some(Reading::of(live)), ..self.unstarted(workspace, id, None) }
    }

    fn unstarted(&self, workspace: WorkspaceId, id: ExecutionId, after: Option<&str>) -> Follow {
        let ended = after == Some("end");
        let after = after.and_then(position).unwrap_or((0, 0));
        Follow {
            executions: self.clone(),
            workspace,
            id,
            after,
            ready: VecDeque::new(),
            behind: false,
            live: None,
            ended,
        }
    }
}

fn position(id: &str) -> Option<(u32, u32)> {
    let (attempt, n) = id.split_once('-')?;
    Some((attempt.parse().ok()?, n.parse().ok()?))
}

impl Reading {
    fn of(live: Arc<Live>) -> Self {
        live.reader_comes();
        Self { live, position: 0 }
    }

    /// The next outputs, or none at the end.
    async fn next(&mut self) -> Vec<OutputRow> {
        let mut state = self.live.state.subscribe();
        let position = self.position;
        let _ = state.wait_for(|state| state.said > position || state.done.is_some()).await;
        self.read()
    }

    fn goes_on(&self) -> bool {
        self.live.state.borrow().done.is_none()
    }

    /// What was said since the last look.
    fn read(&mut self) -> Vec<OutputRow> {
        let rows = self.live.since(self.position);
        self.position += rows.len();
        self.live.reader_took(self.position);
        rows
    }
}

impl Follow {
    /// The execution.
    pub fn id(&self) -> ExecutionId {
        self.id
    }

    /// The next event; none after the `end`. Cancel safe.
    pub async fn next(&mut self) -> Result<Option<Event>, Error> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Ok(Some(event));
            }
            if self.ended {
                return Ok(None);
            }
            match &mut self.live {
                Some(_) if self.behind => self.behind = !self.stored().await?,
                Some(reading) => {
                    let rows = reading.next().await;
                    if rows.is_empty() {
                        self.live = None;
                    }
                    self.take(rows);
                }
                None => self.rest().await?,
            }
        }
    }

    /// The events so far; waits for no other.
    pub async fn so_far(&mut self) -> Result<Vec<Event>, Error> {
        while self.live.is_some() && self.behind {
            self.behind = !self.stored().await?;
        }
        if let Some(reading) = self.live.as_mut().filter(|reading| reading.goes_on()) {
            let rows = reading.read();
            self.take(rows);
            return Ok(self.ready.drain(..).collect());
        }
        let mut events = Vec::new();
        while let Some(event) = self.next().await? {
            events.push(event);
        }
        Ok(events)
    }

    /// Takes the next outputs that the store has. True when there are no more of them.
    async fn stored(&mut self) -> Result<bool, Error> {
        let rows = self.executions.0.parts.store.outputs(self.id, self.after, STORED_MAX).await?;
        let last = rows.len() < STORED_MAX as usize;
        self.take(rows);
        Ok(last)
    }

    async fn rest(&mut self) -> Result<(), Error> {
        let execution = self.executions.find(self.workspace, self.id).await?;
        if self.stored().await? {
            self.ready.push_back(end(&execution));
            self.ended = true;
        }
        Ok(())
    }

    fn take(&mut self, rows: Vec<OutputRow>) {
        for row in rows {
            let place = (row.attempt, row.n);
            if place > self.after {
                self.after = place;
                self.ready.push_back(said(row));
            }
        }
    }
}

fn said(row: OutputRow) -> Event {
    Event { id: format!("{}-{}", row.attempt, row.n), name: row.kind(), data: row.data }
}

/// JSON: `{"execution_id":…,"status":…,"reason":…,"reply":…}` with the members of the [`Outcome`].
fn end(execution: &Execution) -> Event {
    let outcome = execution.outcome.as_deref().and_then(|json| serde_json::from_str::<Outcome>(json).ok());
    let mut data = json!({ "execution_id": execution.id, "status": execution.status });
    if let Some(reason) = &execution.reason {
        data["reason"] = json!(reason);
    }
    match outcome {
        Some(Outcome::Reply(reply)) => data["reply"] = json!(reply),
        Some(Outcome::Failure(failure)) => data["failure"] = json!(failure),
        Some(Outcome::Stopped { message, .. }) => data["message"] = json!(message),
        None => {}
    }
    Event { id: "end".to_owned(), name: "end", data: data.to_string() }
}

#[cfg(test)]
mod fuzz {
    use flowgate_fuzz::fuzz;

    use super::position;

    #[test]
    fn a_place_is_read_or_passed_over() {
        fuzz!(|grow| {
            let text = grow.text(&["1-2", "end", "4294967295-0", "+1-+2"]);
            assert!(
                position(&text)
                    .is_none_or(|(attempt, n)| text.contains(&attempt.to_string()) && text.contains(&n.to_string()))
            );
        });
    }
}
