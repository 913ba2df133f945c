use strict;
use warnings;
use HTTP::Tiny;

exit 3 unless eval { require IO::Socket::SSL; require Net::SSLeay; 1 };
my $answer = HTTP::Tiny->new(verify_SSL => 1, timeout => 20)->get($ARGV[0]);
print $answer->{content} if $answer->{success};
print STDERR "$answer->{status} $answer->{reason}: $answer->{content}\n" unless $answer->{success};
