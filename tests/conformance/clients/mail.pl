# Perl's Net::POP3 and Net::SMTP as a mail client: see mail_clients.py for the arguments.
use strict;
use warnings;
use Net::POP3;
use Net::SMTP;

my ($protocol, $how, $host, $port, $user, $password, $authority, $sender, $recipient) = @ARGV;
my @tls = (SSL_ca_file => $authority, SSL_verifycn_name => $host, SSL_hostname => $host);
my @first = ($host, Port => $port, Timeout => 30, $how eq 'tls' ? (SSL => 1, @tls) : ());
if ($protocol eq 'pop3') {
    my $client = Net::POP3->new(@first) or die "no connection: $@\n";
    $client->starttls(@tls) or die "no TLS\n" if $how eq 'starttls';
    defined $client->login($user, $password) or die 'no login: ' . $client->message;
    print @{$client->get(1) or die "no message\n"};
    $client->quit;
} else {
    my $message = do { local $/; <STDIN> };
    my $client = Net::SMTP->new(@first, Hello => 'laptop.test') or die "no connection: $@\n";
    $client->starttls(@tls) or die "no TLS\n" if $how eq 'starttls';
    $client->auth($user, $password) or die 'no login: ' . $client->message;
    $client->mail($sender) && $client->to($recipient) && $client->data($message) or die 'refused: ' . $client->message;
    $client->quit;
}
