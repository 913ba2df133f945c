# Perl's LWP. Usage: BASE NAME FILE; prints the answers as JSON.
use strict;
use warnings;
use HTTP::Request;
use JSON::PP;
use LWP::UserAgent;

my ($base, $name, $file) = @ARGV;
my $agent = LWP::UserAgent->new;

sub checked {
    my ($answer) = @_;
    die $answer->status_line . ': ' . $answer->decoded_content unless $answer->is_success;
    return decode_json($answer->decoded_content);
}

my %got = (stream => []);
$got{get} = checked($agent->get("$base/v1/item?q=one"));
$got{post} = checked($agent->post("$base/v1/echo", 'Content-Type' => 'text/plain', Content => 'hello there'));
open my $data, '<:raw', $file or die $!;
my $upload = HTTP::Request->new(POST => "$base/v1/upload", ['Content-Type' => 'application/octet-stream', 'Content-Length' => -s $file]);
$upload->content(sub { read $data, my $part, 65536; $part });
$got{upload} = checked($agent->request($upload));
my $answer = $agent->get("$base/v1/stream", ':content_cb' => sub {
    my ($part) = @_;
    checked(LWP::UserAgent->new->get("$base/v1/item?q=seen-$name")) unless @{ $got{stream} };
    push @{ $got{stream} }, $part =~ /^data: (.*)$/mg;
});
die $answer->status_line unless $answer->is_success && !$answer->header('X-Died');
print encode_json(\%got), "\n";
