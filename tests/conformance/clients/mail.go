// Go's net/smtp, net/textproto and crypto/tls as a mail client: see mail_clients.py for the arguments.
package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/smtp"
	"net/textproto"
	"os"
	"strings"
)

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func main() {
	protocol, how, host, port := os.Args[1], os.Args[2], os.Args[3], os.Args[4]
	user, password := os.Args[5], os.Args[6]
	authority, err := os.ReadFile(os.Args[7])
	must(err)
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(authority)
	config := &tls.Config{ServerName: host, RootCAs: pool}
	conn, err := net.Dial("tcp", net.JoinHostPort(host, port))
	must(err)
	if how == "tls" {
		conn = tls.Client(conn, config)
	}
	if protocol == "pop3" {
		read(conn, how, config, user, password)
	} else {
		send(conn, how, config, host, user, password, os.Args[8], os.Args[9])
	}
}

// ask says a command and wants +OK.
func ask(text *textproto.Conn, command string) {
	if command != "" {
		must(text.PrintfLine("%s", command))
	}
	line, err := text.ReadLine()
	must(err)
	if !strings.HasPrefix(line, "+OK") {
		must(errors.New(line))
	}
}

func read(conn net.Conn, how string, config *tls.Config, user, password string) {
	text := textproto.NewConn(conn)
	ask(text, "")
	if how == "starttls" {
		ask(text, "STLS")
		text = textproto.NewConn(tls.Client(conn, config))
	}
	ask(text, "USER "+user)
	ask(text, "PASS "+password)
	ask(text, "RETR 1")
	message, err := text.ReadDotBytes()
	must(err)
	os.Stdout.Write(message)
	ask(text, "QUIT")
}

func send(conn net.Conn, how string, config *tls.Config, host, user, password, sender, recipient string) {
	client, err := smtp.NewClient(conn, host)
	must(err)
	must(client.Hello("laptop.test"))
	if how == "starttls" {
		must(client.StartTLS(config))
	}
	must(client.Auth(smtp.PlainAuth("", user, password, host)))
	must(client.Mail(sender))
	must(client.Rcpt(recipient))
	data, err := client.Data()
	must(err)
	_, err = io.Copy(data, os.Stdin)
	must(err)
	must(data.Close())
	must(client.Quit())
}
