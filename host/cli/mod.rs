//! Commands. Each group is a file; what they share is how they speak (`out`) and whom they speak to (`remote`).
//!
//! Stdout is data. Exit codes: 0 done, 1 not done (the reason is on stderr), 2 the command line is wrong.

use std::io;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use tokio::runtime::Runtime;
use url::Url;

mod build;
mod config;
mod delivery;
mod deploy;
mod dev;
mod events;
mod execution;
mod execution_answers;
mod execution_export;
mod flow;
mod flow_secret;
mod grant;
mod hook;
mod hook_request;
mod key;
mod keyvalue;
mod local;
mod new;
mod oci;
mod out;
mod problem;
mod remote;
mod responder;
mod secret;
mod send;
mod serve;
mod signature;
mod spec;
mod subscription;
mod subscription_pull;
mod talk;
mod test;
#[cfg(test)]
mod tests;
mod waterfall;

use out::Out;
use remote::Remote;

/// The heading of the options that every command has.
const GLOBAL: &str = "Global options";

const EXAMPLES: &str = "\
Examples:
  flowgate serve                                          # a server on http://127.0.0.1:8080, data in ./flowgate-data
  export FLOWGATE_KEY=fgk_…                               # the key that its first start showed
  flowgate deploy support_bot support_bot.wasm            # upload, compile, make live
  flowgate hook create support --flow support_bot --auth github
  FLOWGATE_SECRET=whsec_… flowgate send support --message 'Where is my order?'
  flowgate execution list --flow support_bot --status failed
  flowgate send support --message Hello --curl            # the same request for a shell without flowgate";

/// Runs WebAssembly components when webhooks come in.
#[derive(Debug, Parser)]
#[command(name = "flowgate", version, after_help = EXAMPLES, max_term_width = 120)]
pub struct Args {
    /// The server to talk to.
    #[arg(long, global = true, help_heading = GLOBAL, env = "FLOWGATE_URL", default_value = "http://127.0.0.1:8080", value_name = "URL")]
    url: Url,
    /// An API key of that server.
    #[arg(long, global = true, help_heading = GLOBAL, env = "FLOWGATE_KEY", hide_env_values = true, value_name = "KEY")]
    key: Option<String>,
    /// Write the API's JSON to stdout.
    #[arg(long, global = true, help_heading = GLOBAL)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make a project for a new flow.
    New(new::New),
    /// Build the project's component.
    Build(build::Build),
    /// Serve the project, and build it again whenever it changes.
    Dev(dev::Dev),
    /// Run the project's cases.
    Test(test::Test),
    /// Run a server.
    Serve(serve::Serve),
    /// Upload a component, wait until it is compiled, and make it live.
    Deploy(deploy::Deploy),
    /// Put a component into an OCI registry.
    Push(oci::Push),
    /// Get a component from an OCI registry.
    Pull(oci::Pull),
    /// Flows: names that own versions, aliases and configuration.
    #[command(subcommand)]
    Flow(flow::Flow),
    /// Hooks: inbound webhook URLs.
    #[command(subcommand)]
    Hook(hook::Hook),
    /// Send a trigger to a hook, signed as the hook demands.
    Send(send::Send),
    /// Executions: one trigger given to one version each.
    #[command(subcommand)]
    Execution(execution::Execution),
    /// Subscriptions: outgoing webhooks.
    #[command(subcommand)]
    Subscription(subscription::Subscription),
    /// The events that a subscription can be told of.
    Events(subscription::Events),
    /// Deliveries: callbacks on their way out.
    #[command(subcommand)]
    Delivery(delivery::Delivery),
    /// API keys.
    #[command(subcommand)]
    Key(key::Key),
    /// Check and make webhook signatures, without a server.
    #[command(subcommand)]
    Signature(signature::Signature),
    /// The server's configuration.
    #[command(subcommand)]
    Config(config::Config),
}

/// Which part of a list.
#[derive(Debug, clap::Args)]
struct Paging {
    /// Entries at most, 1 to 200.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=200))]
    limit: u32,
    /// Continue after an earlier part.
    #[arg(long)]
    cursor: Option<String>,
}

impl Paging {
    fn query(&self) -> Vec<(&'static str, String)> {
        let cursor = self.cursor.clone().map(|cursor| ("cursor", cursor));
        std::iter::once(("limit", self.limit.to_string())).chain(cursor).collect()
    }
}

/// Does what the command line says.
pub fn run(args: Args) -> ExitCode {
    let out = Out::new(args.json);
    match command(args, out) {
        Ok(code) => code,
        // Whoever reads has read enough, as in `flowgate flow list | head -1`.
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            // With stderr gone nobody is left to be told.
            let _ = out.complain(&error);
            ExitCode::FAILURE
        }
    }
}

fn command(args: Args, out: Out) -> anyhow::Result<ExitCode> {
    match args.command {
        Command::Serve(serve) => serve.run()?,
        Command::Dev(dev) => dev.run(out)?,
        Command::Test(test) => return test.run(out),
        Command::Push(push) => runtime()?.block_on(push.run(out))?,
        Command::Pull(pull) => runtime()?.block_on(pull.run(out))?,
        Command::New(new) => runtime()?.block_on(new.run(out))?,
        Command::Build(build) => runtime()?.block_on(build.run(out))?,
        Command::Config(config) => config.run(out)?,
        Command::Signature(signature) => return signature.run(out),
        command => {
            let remote = Remote::new(args.url, args.key.as_deref())?;
            runtime()?.block_on(talk(command, &remote, out))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn runtime() -> std::io::Result<Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()
}

async fn talk(command: Command, remote: &Remote, out: Out) -> anyhow::Result<()> {
    match command {
        Command::Deploy(deploy) => deploy.run(remote, out).await,
        Command::Flow(flow) => flow.run(remote, out).await,
        Command::Hook(hook) => hook.run(remote, out).await,
        Command::Send(send) => send.run(remote, out).await,
        Command::Execution(execution) => execution.run(remote, out).await,
        Command::Subscription(subscription) => subscription.run(remote, out).await,
        Command::Events(events) => events.run(remote, out).await,
        Command::Delivery(delivery) => delivery.run(remote, out).await,
        Command::Key(key) => key.run(remote, out).await,
        _ => unreachable!("the others need no server"),
    }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let io = error.chain().find_map(|cause| cause.downcast_ref::<io::Error>());
    io.is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}
