"""Python's own libraries as a mail client: see mail_clients.py for the arguments."""

import poplib
import smtplib
import ssl
import sys

protocol, how, host, port, user, password, authority, *envelope = sys.argv[1:]
context = ssl.create_default_context(cafile=authority)
if protocol == "pop3":
    reader = (poplib.POP3_SSL(host, int(port), timeout=60, context=context) if how == "tls"
              else poplib.POP3(host, int(port), timeout=60))
    if how == "starttls":
        reader.stls(context)
    reader.user(user)
    reader.pass_(password)
    sys.stdout.buffer.write(b"\n".join(reader.retr(1)[1]) + b"\n")
    reader.quit()
else:
    sender, recipient = envelope
    with (smtplib.SMTP_SSL(host, int(port), "laptop.test", timeout=60, context=context) if how == "tls"
          else smtplib.SMTP(host, int(port), "laptop.test", timeout=60)) as writer:
        if how == "starttls":
            writer.starttls(context=context)
        writer.login(user, password)
        writer.sendmail(sender, [recipient], sys.stdin.read())
