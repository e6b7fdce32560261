"""Tells a team what was pushed to a repository, in a few lines instead of GitHub's long payload."""

from collections import Counter
from dataclasses import dataclass, field

from flowgate import Reply, Trigger, events, flow

SHOWN_MAX = 5
FOLDERS_MAX = 3


@dataclass
class Author:
    name: str = "somebody"


@dataclass
class Commit:
    id: str
    message: str
    author: Author
    added: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    modified: list[str] = field(default_factory=list)


@dataclass
class Repository:
    full_name: str


@dataclass
class Push:
    """The part of GitHub's `push` event that is told: https://docs.github.com/webhooks/webhook-events-and-payloads#push"""

    ref: str
    repository: Repository
    pusher: Author
    compare: str
    commits: list[Commit] = field(default_factory=list)
    created: bool = False
    deleted: bool = False
    forced: bool = False


@flow
def push_summary(trigger: Trigger) -> Reply:
    """Summarises a push to a GitHub repository."""
    event = trigger.request.header("x-github-event") or "push"
    if event != "push":
        return Reply(f"Nothing to tell of a {event}.")
    push = trigger.input(Push)
    files = touched(push.commits)
    text = "\n".join([headline(push), *lines(push.commits), push.compare])
    if push.forced:
        events.emit("force-push", {"repository": push.repository.full_name, "ref": push.ref, "by": push.pusher.name})
    data = {
        "repository": push.repository.full_name,
        "ref": push.ref,
        "commits": len(push.commits),
        "authors": sorted({commit.author.name for commit in push.commits}),
        "files": len(files),
        "folders": busiest(files)[:FOLDERS_MAX],
    }
    return Reply(text, data)


def headline(push: Push) -> str:
    kind, _, name = push.ref.removeprefix("refs/").partition("/")
    what = f"the tag {name}" if kind == "tags" else name
    where = f"{what} of {push.repository.full_name}"
    if push.deleted:
        return f"{push.pusher.name} deleted {where}."
    count = len(push.commits)
    commits = f"{count} commit{'' if count == 1 else 's'}"
    verb = "force-pushed" if push.forced else "created" if push.created else "pushed"
    return f"{push.pusher.name} {verb} {where} with {commits}:" if push.created else f"{push.pusher.name} {verb} {commits} to {where}:"


def lines(commits: list[Commit]) -> list[str]:
    shown = [f"- {commit.id[:7]} {commit.message.splitlines()[0]} ({commit.author.name})" for commit in commits[-SHOWN_MAX:]]
    return shown if len(commits) <= SHOWN_MAX else [f"- {len(commits) - SHOWN_MAX} earlier ones", *shown]


def touched(commits: list[Commit]) -> set[str]:
    return {file for commit in commits for file in (*commit.added, *commit.removed, *commit.modified)}


def busiest(files: set[str]) -> list[str]:
    """The top folders, the one with the most of the files first."""
    counted = Counter(map(top, files))
    return sorted(counted, key=lambda folder: (-counted[folder], folder))


def top(file: str) -> str:
    folder, slash, _ = file.partition("/")
    return f"{folder}/" if slash else "./"
