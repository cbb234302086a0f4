"""Vmail-SQL's tables, of an SQL dump: domain, popbox, forwarder.

    domain      domain_name, unix_user, password_hash, path, max_popbox
    popbox      domain_name, local_part, password_hash, mbox_name       the mail is in path/mbox_name
    forwarder   domain_name, local_part, remote_name                    `_default_`: mail for nobody; commas
"""

from vqmail import codes
from vqmail.admin.imports import found, secrets
from vqmail.admin.imports.found import Found, Mailbox
from vqmail.formats import sqldump, uidl
from vqmail.unix import log

TYPE_CHECKING = False
if TYPE_CHECKING:
    Values = dict[bytes, bytes | None]

DEFAULT = b"_default_"
LARGEST = 9                     # digits


def find(dump: bytes, root: bytes) -> Found:
    """The domains of a dump; mail is looked for below `root`."""
    result = Found()
    file = log.shown(dump)
    text = found.read_given(dump)
    tables: dict[bytes, list[tuple[str, Values]]] = {b"domain": [], b"popbox": [], b"forwarder": []}
    try:
        for table, line, values in sqldump.rows(
                text, lambda line, why: result.problem("%s: line %d" % (file, line), why)):
            if table in tables:
                tables[table].append(("%s: line %d" % (file, line), values))
    except ValueError as error:
        raise codes.GiveUp("%s: %s; nothing of it is believed" % (file, error)) from None
    if not any(tables.values()):
        raise codes.GiveUp("%s has no rows of domain, popbox or forwarder" % file)
    paths = {}
    for source, values in tables[b"domain"]:
        name = _text(values, b"domain_name").lower()
        most = _text(values, b"max_popbox")
        domain = result.domain(name, source)
        paths[name] = _text(values, b"path")
        if most.isdigit() and len(most) <= LARGEST and int(most):
            domain.options[b"mailboxes"] = b"%d" % int(most)
        if _text(values, b"password_hash"):
            result.note(source, "the password of the domain's administrator is not taken")
    for source, values in tables[b"popbox"]:
        _popbox(result, source, values, paths, root)
    for source, values in tables[b"forwarder"]:
        _forwarder(result, source, values, paths)
    return result


def _popbox(result: Found, source: str, values: "Values", paths: "dict[bytes, bytes]", root: bytes) -> None:
    name = _text(values, b"domain_name").lower()
    if name not in paths:
        result.problem(source, "there is no row of the domain %s" % log.shown(name))
        return
    try:
        stored, word = secrets.tagged(_text(values, b"password_hash"))
    except ValueError as error:
        result.problem(source, error)
        return
    if word:
        result.note(source, word)
    mailbox = Mailbox(_text(values, b"local_part"), stored, source)
    where = _text(values, b"mbox_name")
    if where in (b"", b".", b"..") or b"/" in where:
        result.problem(source, "%s cannot be the name of a mailbox's file" % log.shown(where))
        return
    mailbox.mail = found.mail(root + paths[name].rstrip(b"/"), b"/" + where) if paths[name] else None
    if mailbox.mail:
        mailbox.mail.uidl = uidl.TPOP3D         # which served it
    result.add(result.domains[name], mailbox)


def _forwarder(result: Found, source: str, values: "Values", paths: "dict[bytes, bytes]") -> None:
    name = _text(values, b"domain_name").lower()
    local = _text(values, b"local_part").lower()
    if name not in paths:
        result.problem(source, "there is no row of the domain %s" % log.shown(name))
        return
    try:
        targets = _targets(_text(values, b"remote_name"), name)
    except ValueError as error:
        result.problem(source, error)
        return
    domain = result.domains[name]
    if local == DEFAULT:
        alias = domain.aliases.get(found.CATCHALL)
        before = alias.targets if alias else [domain.catchall] if domain.catchall else []
        result.catch(domain, [*before, *targets], source)
        return
    if local in domain.mailboxes:
        result.note(source, "%s has a mailbox, too; mail goes where it is forwarded to, as before" % log.shown(local))
    result.alias(domain, local, targets, source)


def _targets(text: bytes, domain: bytes) -> "list[bytes]":
    """The addresses of a list.  ValueError if one is a program, a file, or none: the database names no such thing."""
    targets = []
    for each in text.replace(b"\n", b",").split(b","):
        word = each.strip()
        if not word:
            continue
        if word.strip(b'"').strip()[:1] in (b"|", b"/", b":", b".") or word.startswith(b":include:"):
            raise ValueError("%s is a program or a file: a row of a database may name neither" % log.shown(word))
        if b"<" in word:
            word = word[word.find(b"<") + 1:word.find(b">")]
        targets.append(word if b"@" in word else word + b"@" + domain)
    if not targets:
        raise ValueError("it forwards to nobody")
    return targets


def _text(values: "Values", key: bytes) -> bytes:
    return values.get(key) or b""
