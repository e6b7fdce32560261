//! Measures the turns of one long conversation: whether the last ones cost as much as the first ones; prints or writes the page.

use std::fs;
use std::io::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use clap::Parser;
use flowgate_benches::house::{Furniture, House};
use flowgate_benches::sample;
use flowgate_benches::wire::Connection;
use serde_json::{Value, json};
use tokio::time::Instant;

const PAGE: &str = "docs/benchmarks/conversation.md";

/// The secret of the hook.
const SECRET: &str = "a secret for measurements, 32 bytes and more";

/// Turns before those that count, in a session of their own.
const WARM_UP: usize = 50;

/// How much more the last turns may cost than the first ones.
const TIMES_MAX: f64 = 1.5;

/// Measures the turns of one long conversation.
#[derive(Parser)]
struct Arguments {
    /// The release build of Flowgate.
    #[arg(long, default_value = "target/release/flowgate")]
    flowgate: PathBuf,
    /// The component that runs.
    #[arg(long, default_value = "guests/target/wasm32-wasip2/release/chat.wasm")]
    component: PathBuf,
    /// Where the server's data goes: on a real disk, or durability costs nothing.
    #[arg(long, default_value = "target")]
    data: PathBuf,
    /// Turns of the conversation.
    #[arg(long, default_value_t = 1_000)]
    turns: usize,
    /// Turns at its beginning and at its end that are compared.
    #[arg(long, default_value_t = 50)]
    part: usize,
    /// Messages that the flow reads in each turn.
    #[arg(long, default_value_t = 20)]
    window: u32,
    /// Writes the page instead of printing it only.
    #[arg(long)]
    write: bool,
}

/// What the turns of a part cost.
struct Cost {
    median: Duration,
    most: Duration,
    cpu: Duration,
    /// Bytes of the last answer, which holds the messages that were read.
    answer_bytes: usize,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let (turns, part) = (arguments.turns, arguments.part);
    ensure!(part > 0 && turns >= 2 * part, "a conversation has a beginning and an end");
    fs::create_dir_all(&arguments.data)?;
    let folder = tempfile::tempdir_in(&arguments.data)?;
    let house = House::start(&arguments.flowgate, folder.path(), None, None).await?;
    let hook = house.furnish(&Furniture::plain(&arguments.component, SECRET)).await?;

    let mut talk = Talk {
        connection: Connection::open(house.server.address).await?,
        house: &house,
        hook,
        window: arguments.window,
    };
    talk.turns("warm-up", 0..WARM_UP).await?;
    let first = talk.turns("long", 0..part).await?;
    talk.turns("long", part..turns - part).await?;
    let last = talk.turns("long", turns - part..turns).await?;
    house.server.stop().await?;

    let page = page(&arguments, &first, &last);
    if arguments.write {
        fs::write(PAGE, &page)
            .with_context(|| format!("cannot write {PAGE}; run this from the top of the repository"))?;
    }
    write!(std::io::stdout(), "{page}")?;
    let times = ratio(&first, &last);
    ensure!(times <= TIMES_MAX, "the last turns take {times:.2} times what the first ones do");
    Ok(())
}

/// One who speaks, turn after turn.
struct Talk<'a> {
    connection: Connection,
    house: &'a House,
    hook: String,
    window: u32,
}

impl Talk<'_> {
    async fn turns(&mut self, session: &str, turns: std::ops::Range<usize>) -> Result<Cost> {
        let cpu_before = self.house.server.cpu()?;
        let (mut times, mut answer_bytes) = (Vec::new(), 0);
        for turn in turns {
            let message = format!("This is turn {turn} of a conversation that goes on for long.");
            let body = json!({ "session_id": session, "message": message, "data": { "limit": self.window } });
            let request = sample::signed(&self.hook, SECRET.as_bytes(), &[], &serde_json::to_vec(&body)?);
            let at = Instant::now();
            let answer = self.connection.call(&request).await?;
            times.push(at.elapsed());
            ensure!(answer.status == 200, "a turn is answered by {}", answer.status);
            let body = self.connection.body(&answer);
            let told: Value = serde_json::from_slice(body)?;
            let read = told["reply"]["data"]["messages"].as_array().context("the flow tells no messages")?.len();
            ensure!(read == (2 * turn).min(self.window as usize), "turn {turn} has read {read} messages");
            answer_bytes = body.len();
        }
        let cpu = (self.house.server.cpu()? - cpu_before) / u32::try_from(times.len())?;
        times.sort_unstable();
        Ok(Cost { median: times[times.len() / 2], most: times[times.len() - 1], cpu, answer_bytes })
    }
}

fn ratio(first: &Cost, last: &Cost) -> f64 {
    last.median.as_secs_f64() / first.median.as_secs_f64()
}

fn page(Arguments { turns, part, window, .. }: &Arguments, first: &Cost, last: &Cost) -> String {
    let row = |name: &str, cost: &Cost| {
        let [median, most, cpu] = [cost.median, cost.most, cost.cpu].map(|time| time.as_secs_f64() * 1e3);
        format!("| {name} | {median:.2} ms | {most:.2} ms | {cpu:.2} ms | {} |\n", cost.answer_bytes)
    };
    format!(
        "# Conversation\n\n\
         Written by `cargo run --release -p flowgate-benches --bin conversation -- --write`; [README.md](README.md) says what is \
         measured.\n\n\
         {date}. A conversation of {turns} turns, one after the other, each of which reads the last {window} messages, and whose \
         messages are on the disk before its answer is sent.\n\n\
         | turns | median | most | server CPU per turn | bytes of the last answer |\n|---|---|---|---|---|\n{first_row}{last_row}\n\
         The median of the last turns is {times:.2} times that of the first ones; allowed: {TIMES_MAX}.\n",
        date = jiff::Timestamp::now().strftime("%F"),
        first_row = row(&format!("1 to {part}"), first),
        last_row = row(&format!("{} to {turns}", turns - part + 1), last),
        times = ratio(first, last),
    )
}
