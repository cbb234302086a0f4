"""Rows of SQL dumps, as mysqldump writes them and as hands do."""

import pytest

from vqmail.formats import sqldump


def rows(text: bytes) -> "tuple[list[sqldump.Row], list[tuple[int, str]]]":
    problems: list[tuple[int, str]] = []
    return list(sqldump.rows(text, lambda line, why: problems.append((line, why)))), problems


DUMP = rb"""-- MySQL dump 8.22
/*!40101 SET NAMES latin1 */;
DROP TABLE IF EXISTS `popbox`;
CREATE TABLE `popbox` (
  `domain_name` char(255) NOT NULL default '',
  `local_part` varchar(255) NOT NULL default 'a,b',
  `password_hash` varchar(255) default NULL,
  max_size decimal(10,2) default '0.00',
  PRIMARY KEY  (`domain_name`,`local_part`),
  KEY `x` (`local_part`)
) TYPE=MyISAM;
LOCK TABLES `popbox` WRITE;
INSERT INTO `popbox` VALUES ('d.test','bob','0cc1',1.50),
 ('d.test','o\'neil',NULL,-3);
INSERT IGNORE INTO vmail.popbox (local_part, domain_name) VALUES ("a""b", 'x; INSERT INTO popbox VALUES (1)');
UNLOCK TABLES;
"""


def test_rows_with_columns_of_the_table_or_of_the_statement() -> None:
    assert rows(DUMP) == ([
        (b"popbox", 13, {b"domain_name": b"d.test", b"local_part": b"bob", b"password_hash": b"0cc1",
                         b"max_size": b"1.50"}),
        (b"popbox", 14, {b"domain_name": b"d.test", b"local_part": b"o'neil", b"password_hash": None,
                         b"max_size": b"-3"}),
        (b"popbox", 15, {b"local_part": b'a"b', b"domain_name": b"x; INSERT INTO popbox VALUES (1)"})], [])


@pytest.mark.parametrize(("literal", "value"), [
    (rb"'a\\'", b"a\\"), (rb"'\n\0\Z'", b"\n\0\x1a"), (rb"'it''s'", b"it's"), (rb"'\%\q'", b"%q"),
    (b"''", b""), (b"''''", b"'"), (b"0x626F62", b"bob"), (b"_binary 'x'", b"x"), (b"TRUE", b"1"), (b"null", None),
    (b"'a\nb'", b"a\nb"), (b"'/* x */ -- y'", b"/* x */ -- y")])
def test_literals(literal: bytes, value: "bytes | None") -> None:
    assert rows(b"insert into t (c) values (" + literal + b");") == ([(b"t", 1, {b"c": value})], [])


@pytest.mark.parametrize("statement", [
    b"INSERT INTO t VALUES (1)", b"INSERT INTO t (a,b) VALUES (1)", b"INSERT INTO t (a) SELECT 1",
    b"INSERT INTO t (a) VALUES (now())", b"INSERT INTO t (a) VALUES (1", b"INSERT INTO", b"INSERT INTO t (a) VALUES 1"])
def test_a_statement_that_is_not_understood_is_told_and_the_next_one_counts(statement: bytes) -> None:
    found, problems = rows(b"\n" + statement + b";\nINSERT INTO t (a) VALUES (7);")

    assert found == [(b"t", 3, {b"a": b"7"})]
    assert [line for line, _ in problems] == [2]


@pytest.mark.parametrize("text", [b"INSERT INTO t (a) VALUES ('x);\n", b"/* never ends", b"`x", b"'\\'"])
def test_without_an_end_nothing_can_be_trusted(text: bytes) -> None:
    with pytest.raises(ValueError, match="has no end"):
        rows(text)


def test_whatever_is_cut_off_a_dump_it_gives_rows_problems_or_a_value_error() -> None:
    for end in range(len(DUMP)):
        try:
            found, _ = rows(DUMP[:end])
        except ValueError:
            continue
        assert all(table == b"popbox" for table, _, _ in found)
