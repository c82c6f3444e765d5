//! `aquifer demo`: the layer at work on a real PostgreSQL, step by step, each claim checked.
//!
//! Every step is a file below; [`stage`] tells them and remembers how they ended.

mod bulk;
mod cache;
mod chance;
mod cpu;
mod crashed;
mod dropped;
mod ending;
mod excerpt;
mod failover;
mod figures;
mod killed;
mod lanes;
mod lookups;
mod lost_commit;
mod mistakes;
mod page;
mod palette;
mod patience;
mod picture;
mod pools;
mod readers;
mod redis;
mod relay;
mod scene;
mod schema;
mod seed_block;
mod server;
mod shutdown;
mod slow;
mod stage;
mod tally;
mod tenants;
mod tiers;
mod transfers;

use std::process::ExitCode;

use self::page::Page;
use self::scene::Scene;
use self::server::Server;
use self::stage::{Stage, Step};

/// Shows the layer at work on a real PostgreSQL; each number is measured, each claim checked.
///
/// Without DATABASE_URL it starts a server of its own and touches nothing that is installed. With
/// it, everything happens there in a schema that is removed at the end.
#[derive(Clone, Copy, Debug, Default, clap::Args)]
pub(crate) struct DemoArgs {
    /// Ends after the last step instead of waiting for Enter. It also ends by itself where standard
    /// input is no terminal.
    #[arg(long)]
    once: bool,
    /// Is the other process of a demo that runs.
    #[arg(long, hide = true)]
    peer: bool,
}

/// Runs the demo; it succeeds if every step holds and nothing is left behind.
pub(crate) async fn run(args: DemoArgs) -> ExitCode {
    if args.peer {
        return cache::run_peer().await;
    }
    let mut server = server::given();
    let given = server.is_some();
    let mut stage = Stage::new(Page::stdout(), if given { 17 } else { 20 });
    stage.open(
        "Aquifer: the data layer between a Rust service and PostgreSQL",
        "Every number below is measured in this run, every ✓ was checked, and the code is that of \
         the demo itself.",
    );
    let interrupted = tokio::select! {
        () = Box::pin(play(&mut stage, &mut server, given)) => false,
        () = ending::interrupted() => true,
    };
    let all_hold = stage.summarize();
    let mut clean = true;
    if let Some(server) = server {
        if !interrupted {
            ending::wait(&stage, &server, args.once).await;
        }
        clean = stage.close(server.end().await);
    }
    if all_hold && clean {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// All steps in their order; the first three are needed by all others.
async fn play(stage: &mut Stage, server: &mut Option<Server>, given: bool) {
    let start = async |step: &mut Step| server::perform(step, server).await;
    if stage.play(server::chapter(given), start).await.is_none() {
        return;
    }
    let Some(server) = server else { return };
    let connect = async |step: &mut Step| scene::perform(step, server).await;
    let Some(scene) = stage.play(scene::chapter(), connect).await else {
        return;
    };
    let scene = &scene;
    let create = async |step: &mut Step| schema::perform(step, scene).await;
    if stage.play(schema::chapter(), create).await.is_none() {
        return;
    }
    let server = &*server;
    Box::pin(read(stage, scene, server)).await;
    Box::pin(write(stage, scene)).await;
    fail(stage, scene, server).await;
    let picture = async |step: &mut Step| picture::perform(step, scene).await;
    stage.play(picture::chapter(), picture).await;
    let shutdown = async |step: &mut Step| shutdown::perform(step, scene).await;
    stage.play(shutdown::chapter(), shutdown).await;
}

/// What a service does all day, and how fast.
async fn read(stage: &mut Stage, scene: &Scene, server: &Server) {
    let seed = async |step: &mut Step| seed_block::perform(step, scene).await;
    stage.play(seed_block::chapter(), seed).await;
    let tiers = async |step: &mut Step| tiers::perform(step, scene).await;
    stage.play(tiers::chapter(), tiers).await;
    let mistakes = async |step: &mut Step| mistakes::perform(step, scene).await;
    stage.play(mistakes::chapter(), mistakes).await;
    let lanes = async |step: &mut Step| lanes::perform(step, scene, server).await;
    stage.play(lanes::chapter(), lanes).await;
    let lookups = async |step: &mut Step| lookups::perform(step, scene).await;
    stage.play(lookups::chapter(), lookups).await;
    let slow = async |step: &mut Step| slow::perform(step, scene, server).await;
    stage.play(slow::chapter(), slow).await;
    let tenants = async |step: &mut Step| tenants::perform(step, scene).await;
    stage.play(tenants::chapter(), tenants).await;
    let cache = async |step: &mut Step| cache::perform(step, scene, server).await;
    stage.play(cache::chapter(), cache).await;
}

async fn write(stage: &mut Stage, scene: &Scene) {
    let bulk = async |step: &mut Step| bulk::perform(step, scene).await;
    Box::pin(stage.play(bulk::chapter(), bulk)).await;
    let transfers = async |step: &mut Step| transfers::perform(step, scene).await;
    stage.play(transfers::chapter(), transfers).await;
}

/// What else happens to a service.
async fn fail(stage: &mut Stage, scene: &Scene, server: &Server) {
    let dropped = async |step: &mut Step| dropped::perform(step, scene).await;
    stage.play(dropped::chapter(), dropped).await;
    if server.is_ours() {
        let lost_commit = async |step: &mut Step| lost_commit::perform(step, scene, server).await;
        stage.play(lost_commit::chapter(), lost_commit).await;
    }
    let killed = async |step: &mut Step| killed::perform(step, scene).await;
    stage.play(killed::chapter(), killed).await;
    if server.is_ours() {
        let crashed = async |step: &mut Step| crashed::perform(step, scene, server).await;
        stage.play(crashed::chapter(), crashed).await;
        stage.play(failover::chapter(), failover::perform).await;
    }
}
