"""Measure: bench/run.py [end_to_end] [alone] [outgoing] [pop3] [hosting] [cold_start] [logins] [tls] [profile] [options]; without names everything but profile.

Root only for end_to_end, alone, outgoing, pop3, tls and hosting (they make users' Maildirs with a uid each, and mount an image).
"""

import argparse
import contextlib
import functools
import os
import pathlib
import signal
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent), str(HERE.parent / "tests")]

import cold_start
import disk
import end_to_end
import hosting
import logins
import ours
import outgoing
import peers
import profile_run
import secured

NAMES = ("end_to_end", "alone", "outgoing", "pop3", "hosting", "cold_start", "logins", "tls", "profile")
DEFAULT = "warm,cold,postfix-flow0,postfix,dovecot-tuned,dovecot"
POP = {"sessions": 10, "count": 500, "messages": 10}
PLACES = {"image": "journaled ext4 image", "root": "the plain disk"}


MAKERS = {each.name: each for each in (peers.Postfix, peers.PostfixFlow, peers.Dovecot, peers.DovecotTuned, ours.Warm,
                                      ours.Cold)}


def start(names: "list[str]", folder: pathlib.Path, stack: contextlib.ExitStack) -> "list[end_to_end.System]":
    """The systems `names`, started; stopped when `stack` unwinds, with their logs shown if that is for an error."""
    made: list[end_to_end.System] = []
    for name in names:
        system: end_to_end.System = MAKERS[name](folder / name)
        stack.push(functools.partial(finish, system))
        system.start()
        made.append(system)
    return made


def finish(system: "end_to_end.System", kind: "type | None", *_: object) -> None:
    """Stop; an exit handler of a with statement."""
    system.stop()
    if kind is not None and kind is not KeyboardInterrupt:
        sys.stderr.write(f"--- {system.name}\n{system.log()}\n")


def on_disk(kind: str, options: argparse.Namespace) -> None:
    """Everything that needs mail systems, on one file system."""
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(disk.place(kind))
        names = options.systems.split(",")
        if "profile" in options.names:
            for system in start(names, folder, stack):
                print(f"{PLACES[kind]}: {system.name}, {options.sessions} sessions, {options.each} per connection")
                profile_run.report(system, options.sessions, options.each, options.size)
            return
        plain = {"end_to_end", "alone", "pop3"} & set(options.names)
        mail = start([each for each in names if plain and not each.startswith("dovecot")], folder, stack)
        load = ", ".join(f"{each:.1f}" for each in os.getloadavg())
        if "end_to_end" in options.names and mail:
            for each in (1, options.messages // options.sessions):
                print(f"{PLACES[kind]}: {options.messages} messages of {options.size} bytes, {options.sessions}"
                      f" sessions, {each} per connection (load average before: {load})", flush=True)
                end_to_end.throughput(mail, options.runs, options.messages, options.sessions, each, options.size)
        if "alone" in options.names and mail:
            print(f"{PLACES[kind]}: one message alone, connect to file in new/, {options.alone} times", flush=True)
            end_to_end.alone(mail, options.alone, options.size)
        if "outgoing" in options.names:
            print(f"{PLACES[kind]}: {options.messages // 2} messages of {options.size} bytes in by {options.sessions} sessions"
                  " and out to a smtp-sink", flush=True)
            out_to_a_sink([each for each in names if each in ("warm", "postfix", "postfix-flow0")], folder, options)
        if "hosting" in options.names:
            print(f"{PLACES[kind]}: {hosting.USERS * hosting.Large.domains:,} users in {hosting.Large.domains:,} domains beside"
                  f" {len(peers.users())} in one", flush=True)
            (folder / "hosting").mkdir(mode=0o755)
            with contextlib.ExitStack() as pair:
                large: list[ours.Warm] = [ours.Warm(folder / "hosting/small"), hosting.Large(folder / "hosting/large")]
                for system in large:
                    pair.push(functools.partial(finish, system))
                    system.start()
                hosting.report(large, options.size)
        if "pop3" in options.names:
            pop = start([each for each in names if each.startswith("dovecot")], folder, stack)
            pop = [each for each in mail if each.pop_port] + pop
            print(f"{PLACES[kind]}: {POP['count']} POP3 sessions, {POP['sessions']} at a time, each login, STAT, LIST,"
                  f" {POP['messages']} RETR of {options.size} bytes, QUIT", flush=True)
            end_to_end.pop3(pop, options.runs, size=options.size, password=peers.PASSWORD, **POP)
        if "tls" in options.names:
            print(f"{PLACES[kind]}: over TLS with a login, 8 at a time: SMTP with STARTTLS, AUTH and a message of {options.size}"
                  f" bytes, and POP3S as above", flush=True)
            (folder / "tls").mkdir(mode=0o755)
            secured.report(folder / "tls", options.runs, options.messages // 5, POP["messages"], options.size)


def out_to_a_sink(names: "list[str]", folder: pathlib.Path, options: argparse.Namespace) -> None:
    """The systems `names` as relays, each with a sink of its own."""
    made = folder / "outgoing"
    made.mkdir(mode=0o755)
    with contextlib.ExitStack() as stack:
        systems = []
        for name in names:
            sink = outgoing.Sink()
            stack.callback(sink.stop)
            system = MAKERS[name](made / name)
            system.relay = sink.port
            stack.push(functools.partial(finish, system))
            system.start()
            systems.append((system, sink))
        outgoing.throughput(systems, options.runs, options.messages // 2, options.sessions, options.size)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--messages", type=int, default=2000)
    parser.add_argument("--size", type=int, default=4096)
    parser.add_argument("--sessions", type=int, default=20)
    parser.add_argument("--each", type=int, default=1, help="messages per connection (profile)")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--alone", type=int, default=50)
    parser.add_argument("--disk", choices=["image", "root", "both"], default="both")
    parser.add_argument("--systems", default="",
                        help=f"in this order, of {', '.join(MAKERS)}; what is compared is compared with the last")
    options = parser.parse_args()
    if set(options.names) - set(NAMES):
        parser.error(f"unknown: {', '.join(set(options.names) - set(NAMES))}; there are {', '.join(NAMES)}")
    options.names = options.names or [each for each in NAMES if each != "profile"]
    options.systems = options.systems or ("warm" if "profile" in options.names else DEFAULT)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))     # so that images are unmounted and servers stopped
    if "cold_start" in options.names:
        cold_start.report()
    if "logins" in options.names:
        logins.report()
    if {"end_to_end", "alone", "outgoing", "pop3", "hosting", "tls", "profile"} & set(options.names):
        if os.geteuid():
            raise SystemExit("bench: only cold_start and logins work without root: the others need uids for the users and mount an image")
        for kind in ("image", "root") if options.disk == "both" else (options.disk,):
            on_disk(kind, options)


if __name__ == "__main__":
    main()
