"""The home of this installation: where its control, users, queue, alias, run and bin lie.

The home is where the program lies (never what the environment says): the directory that holds this
package, or the one above it when the package lies in a directory called lib.

    /var/vqmail/lib/vqmail/vqhome.py    home /var/vqmail        an installation
    /src/vqmail/vqmail/vqhome.py        home /src/vqmail        a source tree
"""

VQHOME = __file__.encode().rpartition(b"/vqmail/")[0].removesuffix(b"/lib") or b"/"


def path(name: bytes) -> bytes:
    """The absolute path of `name`, which is relative to the home, such as b"control/me"."""
    return VQHOME + b"/" + name
