"""Measure: bench/run.py [end_to_end] [alone] [pop3] [cold_start] [profile] [options]; without names everything but profile.

Root only for end_to_end, alone and pop3 (they make users' Maildirs with a uid each, and mount an image).
"""

import argparse
import contextlib
import os
import pathlib
import signal
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent), str(HERE.parent / "tests")]

import disk
import end_to_end
import peers

NAMES = ("end_to_end", "alone", "pop3", "cold_start", "profile")
PLACES = {"image": "journaled ext4 image", "root": "the plain disk"}


def systems(names: "list[str]", folder: pathlib.Path, stack: contextlib.ExitStack) -> "list[end_to_end.System]":
    """The systems `names`, started; stopped when `stack` unwinds."""
    made: list[end_to_end.System] = []
    for name in names:
        system: end_to_end.System = peers.Postfix(folder / name)
        stack.callback(system.stop)
        system.start()
        made.append(system)
    return made


def on_disk(kind: str, options: argparse.Namespace) -> None:
    """Everything that needs mail systems, on one file system."""
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(disk.place(kind))
        running = systems(options.systems.split(","), folder, stack)
        load = ", ".join(f"{each:.1f}" for each in os.getloadavg())
        try:
            if "end_to_end" in options.names:
                for each in (1, options.messages // options.sessions):
                    print(f"{PLACES[kind]}: {options.messages} messages of {options.size} bytes, {options.sessions}"
                          f" sessions, {each} per connection (load average before: {load})")
                    end_to_end.throughput(running, options.runs, options.messages, options.sessions, each, options.size)
            if "alone" in options.names:
                print(f"{PLACES[kind]}: one message alone, connect to file in new/, {options.alone} times")
                end_to_end.alone(running, options.alone, options.size)
        except BaseException:
            for system in running:
                sys.stderr.write(f"--- {system.name}\n{system.log()}\n")
            raise


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", choices=[*NAMES, []], metavar="NAME")
    parser.add_argument("--messages", type=int, default=2000)
    parser.add_argument("--size", type=int, default=4096)
    parser.add_argument("--sessions", type=int, default=20)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--alone", type=int, default=50)
    parser.add_argument("--disk", choices=["image", "root", "both"], default="both")
    parser.add_argument("--systems", default="postfix", help="in this order; the last is what the others are compared with")
    options = parser.parse_args()
    options.names = options.names or [each for each in NAMES if each != "profile"]
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))     # so that images are unmounted and servers stopped
    if {"end_to_end", "alone", "pop3"} & set(options.names):
        if os.geteuid():
            raise SystemExit("bench: end_to_end, alone and pop3 need root (uids for the users, a mounted image)")
        for kind in ("image", "root") if options.disk == "both" else (options.disk,):
            on_disk(kind, options)


if __name__ == "__main__":
    main()
