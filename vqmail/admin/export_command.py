"""vq-export: the users of a domain as a plain passwd file, or with all that belongs to them.

SYNOPSIS    vq-export DOMAIN [--json] [--no-hashes]
            vq-export --help

WRITES      1   a line for each user: name:hash:uid:gid:real name:home:shell, the home as a whole path

With --json it is all there is to take elsewhere: users with their options, aliases, mail for nobody, the domain's
options and other names, old names to log in with.  With --no-hashes an x stands for each hash.

FILES       /virtual/DOMAIN/etc/passwd and options, .qmail-NAME; users/logins

CONTROL FILES
            me minuid virtualdomains virtualroot

EXIT        0   done
            100 wrong usage; there is no such domain
            111 any trouble

RUNS AS     root

SECURITY    What it writes are secrets, unless --no-hashes is given: whoever has a hash can try passwords on it.
"""

from vqmail import codes
from vqmail.admin import aliases, caller, catchall, command, disk, domains, names, usertexts
from vqmail.formats import lines, logins, options
from vqmail.store import loginaliases
from vqmail.unix import calls, usage

TYPE_CHECKING = False
if TYPE_CHECKING:
    from vqmail.unix.chain import Env

HIDDEN = b"x"


def main(argv: "list[bytes]", env: "Env") -> int:  # noqa: ARG001  every program has this shape
    """Write the users of the domain."""
    asked = usage.parse(__doc__, argv)
    if asked["--help"]:
        command.say((__doc__ or "").rstrip())
        return codes.OK
    caller.Caller(calls.geteuid()).must_be_master("export anything")
    domain = domains.real(names.domain(command.encode(asked["DOMAIN"])))
    where = usertexts.look(domain, disk.read)
    users = {}
    for name in where.users:
        fields = (lines.find(where.text, name) or b"").split(b":")
        fields[0] = name
        fields[1] = HIDDEN if asked["--no-hashes"] else fields[1]
        fields[5] = where.directory + b"/" + fields[5].strip(b"/")
        users[name] = fields
    if not asked["--json"]:
        for fields in users.values():
            command.say(b":".join(fields))
        return codes.OK
    command.show({
        "domain": domain, "directory": where.directory, "other_names": domains.aliases_of(domain),
        "options": where.options.get(options.DOMAIN, {}), "defaults": where.options.get(options.EVERYBODY, {}),
        "catchall": catchall.of(domain), "aliases": {each: _alias(domain, each) for each in aliases.names(domain)},
        "logins": {old: who for old, who in _logins().items() if who.endswith(b"@" + domain)},
        "users": [{"name": name, "hash": fields[1], "uid": int(fields[2]), "gid": int(fields[3]),
                   "real_name": fields[4], "home": fields[5], "shell": fields[6],
                   "options": where.options.get(name, {})}
                  for name, fields in users.items()]})
    return codes.OK


def _alias(domain: bytes, name: bytes) -> "list[bytes]":
    """Where an alias goes, programs and all."""
    found = aliases.info(domain, name)
    both = [found["targets"], found["other"]]
    return [each for some in both if isinstance(some, list) for each in some]


def _logins() -> "dict[bytes, bytes]":
    try:
        return dict(logins.records((disk.read(loginaliases.TEXT) or b"").split(b"\n"), whole=True))
    except ValueError as error:
        raise codes.GiveUp("users/logins: %s" % error) from None
