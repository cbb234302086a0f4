"""What the commands of vpopmail and Vmail-SQL share: options in one letter, and passwords on the command line.

A password there is for everybody to see who looks at the list of processes; scripts of those systems have it there.
Without one it is asked for.
"""

import getopt

from vqmail import codes
from vqmail.admin import command, mailboxes, names, passwords
from vqmail.unix import log

TYPE_CHECKING = False
if TYPE_CHECKING:
    from vqmail.admin.caller import Caller
    from vqmail.admin.command import Serve
    from vqmail.unix.chain import Env

LETTERS = 8                     # of a random password, unless the option says how many


def run(page: str, serve: "Serve", argv: "list[bytes]", env: "Env", *, alone: bool = False) -> int:
    """What main() of each of these commands does: with --help, and with nothing behind the name unless it may stand
    `alone`, it shows its page."""
    if argv[1:] == [b"--help"] or (len(argv) == 1 and not alone):
        command.say(page.rstrip())
        return codes.OK if argv[1:] else codes.PERMANENT
    return command.run(serve, argv, env)


def words(argv: "list[bytes]", letters: str, least: int, most: int) -> "tuple[dict[str, bytes], list[bytes]]":
    """(options, arguments) of a command line as getopt(3) reads it.  GiveUp if they are not what `letters` allows, or
    not so many."""
    name = log.name_of(argv).decode()
    # -r may have its length behind it, and need not
    given = [each.decode("utf-8", "surrogateescape") for each in argv[1:]]
    try:
        found, rest = getopt.gnu_getopt(given, letters)
    except getopt.GetoptError as error:
        raise codes.GiveUp("%s; %s --help says what there is" % (error, name)) from None
    if not least <= len(rest) <= most:
        raise codes.GiveUp("%d arguments are too %s; man %s says which" % (
            len(rest), "few" if len(rest) < least else "many", name))
    return ({option[1:]: value.encode("utf-8", "surrogateescape") for option, value in found},
            [each.encode("utf-8", "surrogateescape") for each in rest])


def split_random(argv: "list[bytes]") -> "tuple[list[bytes], int]":
    """(the rest, the length) of a command line that may have -r or -rLENGTH: a random password; 0 if it has not."""
    length = 0
    rest = argv[:1]
    for each in argv[1:]:
        if each[:2] == b"-r" and (not each[2:] or each[2:].isdigit()):
            length = min(int(each[2:6] or b"%d" % LETTERS), passwords.LONGEST)
        else:
            rest.append(each)
    return rest, length


def address(given: bytes) -> "tuple[bytes, bytes]":
    """(user, domain) of user@domain.  GiveUp if it is none, or there is no such domain."""
    user, at, domain = given.rpartition(b"@")
    if not at or not user:
        raise codes.GiveUp("%s: write USER@DOMAIN" % names.shown(given))
    return user.lower(), mailboxes.real_domain(names.domain(domain))


def secret(given: "list[bytes]", length: int, whose: bytes) -> "tuple[bytes, bytes]":
    """(hash, the password if it is a random one): the password that was given, or a random one, or what is typed."""
    if length:
        random = passwords.generate(length)
        return passwords.hash(random), random
    return passwords.hash(given[0] if given else passwords.ask(names.shown(whose))), b""


def set_password(caller: "Caller", domain: bytes, user: bytes, stored: bytes) -> None:
    """Give a user another password, of which `stored` is the hash."""
    with caller.change(domain) as t:
        mailboxes.set_password(t, domain, user, stored)
        t.commit()


def show_random(random: bytes) -> None:
    """Say a random password; nothing if it was none."""
    if random:
        command.say(b"Random password: " + random)


def warn(name: str, odd: "list[str]") -> None:
    """Say what is odd about something that was done."""
    for each in odd:
        log.line(name.encode(), each)
