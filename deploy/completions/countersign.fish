# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_countersign_global_optspecs
    string join \n h/help V/version
end

function __fish_countersign_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_countersign_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_countersign_using_subcommand
    set -l cmd (__fish_countersign_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c countersign -n "__fish_countersign_needs_command" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c countersign -n "__fish_countersign_needs_command" -s V -l version -d 'Print version'
complete -c countersign -n "__fish_countersign_needs_command" -f -a "serve" -d 'Serve those who hold a key'
complete -c countersign -n "__fish_countersign_needs_command" -f -a "check-config" -d 'Check a configuration as serve reads it'
complete -c countersign -n "__fish_countersign_needs_command" -f -a "connect" -d 'Talk to a server'
complete -c countersign -n "__fish_countersign_needs_command" -f -a "keygen" -d 'Add a fresh random key to the ring'
complete -c countersign -n "__fish_countersign_needs_command" -f -a "keys" -d 'List, check and rotate the keys of the ring'
complete -c countersign -n "__fish_countersign_needs_command" -f -a "load" -d 'Measure a server with many clients'
complete -c countersign -n "__fish_countersign_needs_command" -f -a "ping" -d 'Check whether a server serves'
complete -c countersign -n "__fish_countersign_needs_command" -f -a "proxy" -d 'Carry the connections of other programs in countersign/1'
complete -c countersign -n "__fish_countersign_needs_command" -f -a "status" -d 'Show what a server does'
complete -c countersign -n "__fish_countersign_using_subcommand serve" -l config -d 'A file with any of these options, and with several listeners; see `countersign check-config`' -r -F
complete -c countersign -n "__fish_countersign_using_subcommand serve" -l busy-poll -d 'Look for input for so long before sleeping: quicker answers, at the price of a busy core' -r
complete -c countersign -n "__fish_countersign_using_subcommand serve" -l workers -d 'Loops that serve, each on a thread of its own and with its part of the limits' -r
complete -c countersign -n "__fish_countersign_using_subcommand serve" -l close-revoked -d 'Close the connections whose keys have run out, or are gone or changed after a reload' -r -f -a "true\t''
false\t''"
complete -c countersign -n "__fish_countersign_using_subcommand serve" -l admin -d 'Serve monitoring pages over HTTP at HOST:PORT or unix:/PATH [default: off]' -r
complete -c countersign -n "__fish_countersign_using_subcommand serve" -l admin-unix-mode -d 'The mode of the Unix socket of --admin' -r
complete -c countersign -n "__fish_countersign_using_subcommand serve" -l log-format -d 'How log lines are written' -r -f -a "text\t'`2018-05-10T22:00:19.123Z WARN refused: wrong-proof peer=… conn=…`'
json\t'An object with ts, level, msg and the record\'s keys'"
complete -c countersign -n "__fish_countersign_using_subcommand serve" -l log-level -d 'Which log lines are written' -r -f -a "error\t'What keeps the server from its work'
warn\t'And who was refused'
info\t'And what the server does'
debug\t'And every connection'"
complete -c countersign -n "__fish_countersign_using_subcommand serve" -l name -d 'What the log and the metrics call the listener [default: its first address]' -r
complete -c countersign -n "__fish_countersign_using_subcommand serve" -l bind -d 'Where to listen: HOST:PORT, HOST, PORT or unix:/PATH; may be given more than once, and port 0 is any free one' -r
complete -c countersign -n "__fish_countersign_using_subcommand serve" -l unix-mode -d 'The mode of the files of Unix sockets: who may write, may connect' -r
complete -c countersign -n "__fish_countersign_using_subcommand serve" -l service -d 'What is served' -r -f -a "timestamp\t'each message comes back with the time in front'
echo\t'each message comes back'
discard\t'each message is dropped'"
complete -c countersign -n "__fish_countersign_using_subcommand serve" -l tcp-keepalive -d 'When nothing was heard of a peer over TCP for so long, ask whether it is there; 0s is never' -r
complete -c countersign -n "__fish_countersign_using_subcommand serve" -l tcp-user-timeout -d 'How long what was sent over TCP may lack its acknowledgement, and questions their answer; 0s leaves it to the system [default: --write-timeout]' -r
complete -c countersign -n "__fish_countersign_using_subcommand serve" -l dialect -d 'The handshake' -r -f -a "countersign/1\t'both ends prove that they hold the key'
countersign/1+raw\t'the same, and raw at the same port'
raw\t'a challenge, answered with its HMAC as bytes'
hex\t'a challenge, answered with its HMAC in hexadecimal digits'
multiprocessing\t'that of Python\'s multiprocessing.connection'
open\t'no handshake: whoever connects is served'"
complete -c countersign -n "__fish_countersign_using_subcommand serve" -l records -d 'Whether each message is protected, in countersign/1' -r -f -a "required\t'always; who does without is refused'
allowed\t'if the other end does so too'
off\t'never; whoever relays the handshake owns the connection'"
complete -c countersign -n "__fish_countersign_using_subcommand serve" -l audience -d 'The service that is meant, in countersign/1; a server may be several [default: none]' -r
complete -c countersign -n "__fish_countersign_using_subcommand serve" -l framing -d 'Where a message ends; records have their own ends [default: lines]' -r -f -a "lines\t'at LF or CRLF'
chunks\t'where a read ends, after at most 1,024 bytes'
length\t'after as many bytes as a 32-bit length in front says'"
complete -c countersign -n "__fish_countersign_using_subcommand serve" -l mac -d 'The hash under the HMAC of a proof in raw and hex: sha256 or md5' -r
complete -c countersign -n "__fish_countersign_using_subcommand serve" -l message-max -d 'The longest message, in bytes' -r
complete -c countersign -n "__fish_countersign_using_subcommand serve" -l keys -d 'The file of keys [default: countersign/keys in the user\'s configuration directory]' -r -F
complete -c countersign -n "__fish_countersign_using_subcommand serve" -l allow -d 'From where: addresses, networks such as 10.0.0.0/8, unix; may be given more than once [default: everywhere]' -r
complete -c countersign -n "__fish_countersign_using_subcommand serve" -l deny -d 'From where nobody may, even if --allow says otherwise' -r
complete -c countersign -n "__fish_countersign_using_subcommand serve" -l proxy-from -d 'The balancers by which everybody has to come; they send PROXY headers, version 1 or 2, and the addresses in these count' -r
complete -c countersign -n "__fish_countersign_using_subcommand serve" -l max-connections -d 'Connections at one time' -r
complete -c countersign -n "__fish_countersign_using_subcommand serve" -l max-unauthenticated -d 'Connections at one time that have not proved themselves' -r
complete -c countersign -n "__fish_countersign_using_subcommand serve" -l max-per-address -d 'The same from one IPv4 address or IPv6 /64 [default: half of --max-unauthenticated]' -r
complete -c countersign -n "__fish_countersign_using_subcommand serve" -l handshake-timeout -d 'From accept, or from the end of its delay, until the peer has proved itself' -r
complete -c countersign -n "__fish_countersign_using_subcommand serve" -l idle-timeout -d 'From one message until the next begins; 0s is never' -r
complete -c countersign -n "__fish_countersign_using_subcommand serve" -l message-timeout -d 'From a message\'s first byte until its last; 0s is never' -r
complete -c countersign -n "__fish_countersign_using_subcommand serve" -l write-timeout -d 'While the peer takes nothing of what was written' -r
complete -c countersign -n "__fish_countersign_using_subcommand serve" -l session-max-age -d 'From the proof of a key until the connection is closed; 0s is never [default: 0s]' -r
complete -c countersign -n "__fish_countersign_using_subcommand serve" -l drain-timeout -d 'From the signal to stop until the last connection is closed; 0s closes all at once' -r
complete -c countersign -n "__fish_countersign_using_subcommand serve" -l buffered-max -d 'What all connections together may keep of unfinished messages and unsent replies' -r
complete -c countersign -n "__fish_countersign_using_subcommand serve" -l failure-burst -d 'Failed proofs from one IPv4 address or IPv6 /64 without consequence; above, it is delayed' -r
complete -c countersign -n "__fish_countersign_using_subcommand serve" -l failure-limit -d 'Failed proofs from one network above which it is rejected' -r
complete -c countersign -n "__fish_countersign_using_subcommand serve" -l failure-delay -d 'Delay before the challenge is sent to a throttled network; 0s sends it at once' -r
complete -c countersign -n "__fish_countersign_using_subcommand serve" -l failure-decay -d 'How long each failed proof counts against its network; 0s disables throttling' -r
complete -c countersign -n "__fish_countersign_using_subcommand serve" -l admin-exposed -d 'Allow an --admin address that other machines can reach'
complete -c countersign -n "__fish_countersign_using_subcommand serve" -l utc -d 'Stamp in UTC instead of local time'
complete -c countersign -n "__fish_countersign_using_subcommand serve" -l rhel -d 'In multiprocessing, speak with Red Hat\'s Pythons up to 3.11, which do without MD5'
complete -c countersign -n "__fish_countersign_using_subcommand serve" -l once -d 'One message and its reply on each connection'
complete -c countersign -n "__fish_countersign_using_subcommand serve" -l verify-only -d 'The handshake alone: the server reports the verdict and closes; beats --once'
complete -c countersign -n "__fish_countersign_using_subcommand serve" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c countersign -n "__fish_countersign_using_subcommand serve" -s V -l version -d 'Print version'
complete -c countersign -n "__fish_countersign_using_subcommand check-config" -l busy-poll -d 'Look for input for so long before sleeping: quicker answers, at the price of a busy core' -r
complete -c countersign -n "__fish_countersign_using_subcommand check-config" -l workers -d 'Loops that serve, each on a thread of its own and with its part of the limits' -r
complete -c countersign -n "__fish_countersign_using_subcommand check-config" -l close-revoked -d 'Close the connections whose keys have run out, or are gone or changed after a reload' -r -f -a "true\t''
false\t''"
complete -c countersign -n "__fish_countersign_using_subcommand check-config" -l admin -d 'Serve monitoring pages over HTTP at HOST:PORT or unix:/PATH [default: off]' -r
complete -c countersign -n "__fish_countersign_using_subcommand check-config" -l admin-unix-mode -d 'The mode of the Unix socket of --admin' -r
complete -c countersign -n "__fish_countersign_using_subcommand check-config" -l log-format -d 'How log lines are written' -r -f -a "text\t'`2018-05-10T22:00:19.123Z WARN refused: wrong-proof peer=… conn=…`'
json\t'An object with ts, level, msg and the record\'s keys'"
complete -c countersign -n "__fish_countersign_using_subcommand check-config" -l log-level -d 'Which log lines are written' -r -f -a "error\t'What keeps the server from its work'
warn\t'And who was refused'
info\t'And what the server does'
debug\t'And every connection'"
complete -c countersign -n "__fish_countersign_using_subcommand check-config" -l name -d 'What the log and the metrics call the listener [default: its first address]' -r
complete -c countersign -n "__fish_countersign_using_subcommand check-config" -l bind -d 'Where to listen: HOST:PORT, HOST, PORT or unix:/PATH; may be given more than once, and port 0 is any free one' -r
complete -c countersign -n "__fish_countersign_using_subcommand check-config" -l unix-mode -d 'The mode of the files of Unix sockets: who may write, may connect' -r
complete -c countersign -n "__fish_countersign_using_subcommand check-config" -l service -d 'What is served' -r -f -a "timestamp\t'each message comes back with the time in front'
echo\t'each message comes back'
discard\t'each message is dropped'"
complete -c countersign -n "__fish_countersign_using_subcommand check-config" -l tcp-keepalive -d 'When nothing was heard of a peer over TCP for so long, ask whether it is there; 0s is never' -r
complete -c countersign -n "__fish_countersign_using_subcommand check-config" -l tcp-user-timeout -d 'How long what was sent over TCP may lack its acknowledgement, and questions their answer; 0s leaves it to the system [default: --write-timeout]' -r
complete -c countersign -n "__fish_countersign_using_subcommand check-config" -l dialect -d 'The handshake' -r -f -a "countersign/1\t'both ends prove that they hold the key'
countersign/1+raw\t'the same, and raw at the same port'
raw\t'a challenge, answered with its HMAC as bytes'
hex\t'a challenge, answered with its HMAC in hexadecimal digits'
multiprocessing\t'that of Python\'s multiprocessing.connection'
open\t'no handshake: whoever connects is served'"
complete -c countersign -n "__fish_countersign_using_subcommand check-config" -l records -d 'Whether each message is protected, in countersign/1' -r -f -a "required\t'always; who does without is refused'
allowed\t'if the other end does so too'
off\t'never; whoever relays the handshake owns the connection'"
complete -c countersign -n "__fish_countersign_using_subcommand check-config" -l audience -d 'The service that is meant, in countersign/1; a server may be several [default: none]' -r
complete -c countersign -n "__fish_countersign_using_subcommand check-config" -l framing -d 'Where a message ends; records have their own ends [default: lines]' -r -f -a "lines\t'at LF or CRLF'
chunks\t'where a read ends, after at most 1,024 bytes'
length\t'after as many bytes as a 32-bit length in front says'"
complete -c countersign -n "__fish_countersign_using_subcommand check-config" -l mac -d 'The hash under the HMAC of a proof in raw and hex: sha256 or md5' -r
complete -c countersign -n "__fish_countersign_using_subcommand check-config" -l message-max -d 'The longest message, in bytes' -r
complete -c countersign -n "__fish_countersign_using_subcommand check-config" -l keys -d 'The file of keys [default: countersign/keys in the user\'s configuration directory]' -r -F
complete -c countersign -n "__fish_countersign_using_subcommand check-config" -l allow -d 'From where: addresses, networks such as 10.0.0.0/8, unix; may be given more than once [default: everywhere]' -r
complete -c countersign -n "__fish_countersign_using_subcommand check-config" -l deny -d 'From where nobody may, even if --allow says otherwise' -r
complete -c countersign -n "__fish_countersign_using_subcommand check-config" -l proxy-from -d 'The balancers by which everybody has to come; they send PROXY headers, version 1 or 2, and the addresses in these count' -r
complete -c countersign -n "__fish_countersign_using_subcommand check-config" -l max-connections -d 'Connections at one time' -r
complete -c countersign -n "__fish_countersign_using_subcommand check-config" -l max-unauthenticated -d 'Connections at one time that have not proved themselves' -r
complete -c countersign -n "__fish_countersign_using_subcommand check-config" -l max-per-address -d 'The same from one IPv4 address or IPv6 /64 [default: half of --max-unauthenticated]' -r
complete -c countersign -n "__fish_countersign_using_subcommand check-config" -l handshake-timeout -d 'From accept, or from the end of its delay, until the peer has proved itself' -r
complete -c countersign -n "__fish_countersign_using_subcommand check-config" -l idle-timeout -d 'From one message until the next begins; 0s is never' -r
complete -c countersign -n "__fish_countersign_using_subcommand check-config" -l message-timeout -d 'From a message\'s first byte until its last; 0s is never' -r
complete -c countersign -n "__fish_countersign_using_subcommand check-config" -l write-timeout -d 'While the peer takes nothing of what was written' -r
complete -c countersign -n "__fish_countersign_using_subcommand check-config" -l session-max-age -d 'From the proof of a key until the connection is closed; 0s is never [default: 0s]' -r
complete -c countersign -n "__fish_countersign_using_subcommand check-config" -l drain-timeout -d 'From the signal to stop until the last connection is closed; 0s closes all at once' -r
complete -c countersign -n "__fish_countersign_using_subcommand check-config" -l buffered-max -d 'What all connections together may keep of unfinished messages and unsent replies' -r
complete -c countersign -n "__fish_countersign_using_subcommand check-config" -l failure-burst -d 'Failed proofs from one IPv4 address or IPv6 /64 without consequence; above, it is delayed' -r
complete -c countersign -n "__fish_countersign_using_subcommand check-config" -l failure-limit -d 'Failed proofs from one network above which it is rejected' -r
complete -c countersign -n "__fish_countersign_using_subcommand check-config" -l failure-delay -d 'Delay before the challenge is sent to a throttled network; 0s sends it at once' -r
complete -c countersign -n "__fish_countersign_using_subcommand check-config" -l failure-decay -d 'How long each failed proof counts against its network; 0s disables throttling' -r
complete -c countersign -n "__fish_countersign_using_subcommand check-config" -l admin-exposed -d 'Allow an --admin address that other machines can reach'
complete -c countersign -n "__fish_countersign_using_subcommand check-config" -l utc -d 'Stamp in UTC instead of local time'
complete -c countersign -n "__fish_countersign_using_subcommand check-config" -l rhel -d 'In multiprocessing, speak with Red Hat\'s Pythons up to 3.11, which do without MD5'
complete -c countersign -n "__fish_countersign_using_subcommand check-config" -l once -d 'One message and its reply on each connection'
complete -c countersign -n "__fish_countersign_using_subcommand check-config" -l verify-only -d 'The handshake alone: the server reports the verdict and closes; beats --once'
complete -c countersign -n "__fish_countersign_using_subcommand check-config" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c countersign -n "__fish_countersign_using_subcommand check-config" -s V -l version -d 'Print version'
complete -c countersign -n "__fish_countersign_using_subcommand connect" -l key -d 'Sign with the key of this id [default: the first that serves the dialect]' -r
complete -c countersign -n "__fish_countersign_using_subcommand connect" -l timeout -d 'How long connecting, and each reply, may take; 0s is without end' -r
complete -c countersign -n "__fish_countersign_using_subcommand connect" -l retry -d 'Try again so many times while the server can\'t be reached or is busy' -r
complete -c countersign -n "__fish_countersign_using_subcommand connect" -l dialect -d 'The handshake' -r -f -a "countersign/1\t'both ends prove that they hold the key'
countersign/1+raw\t'the same, and raw at the same port'
raw\t'a challenge, answered with its HMAC as bytes'
hex\t'a challenge, answered with its HMAC in hexadecimal digits'
multiprocessing\t'that of Python\'s multiprocessing.connection'
open\t'no handshake: whoever connects is served'"
complete -c countersign -n "__fish_countersign_using_subcommand connect" -l records -d 'Whether each message is protected, in countersign/1' -r -f -a "required\t'always; who does without is refused'
allowed\t'if the other end does so too'
off\t'never; whoever relays the handshake owns the connection'"
complete -c countersign -n "__fish_countersign_using_subcommand connect" -l audience -d 'The service that is meant, in countersign/1; a server may be several [default: none]' -r
complete -c countersign -n "__fish_countersign_using_subcommand connect" -l framing -d 'Where a message ends; records have their own ends [default: lines]' -r -f -a "lines\t'at LF or CRLF'
chunks\t'where a read ends, after at most 1,024 bytes'
length\t'after as many bytes as a 32-bit length in front says'"
complete -c countersign -n "__fish_countersign_using_subcommand connect" -l mac -d 'The hash under the HMAC of a proof in raw and hex: sha256 or md5' -r
complete -c countersign -n "__fish_countersign_using_subcommand connect" -l message-max -d 'The longest message, in bytes' -r
complete -c countersign -n "__fish_countersign_using_subcommand connect" -l keys -d 'The file of keys [default: countersign/keys in the user\'s configuration directory]' -r -F
complete -c countersign -n "__fish_countersign_using_subcommand connect" -l no-reply -d 'Don\'t wait for replies, for a service that doesn\'t answer each message'
complete -c countersign -n "__fish_countersign_using_subcommand connect" -l rhel -d 'In multiprocessing, speak with Red Hat\'s Pythons up to 3.11, which do without MD5'
complete -c countersign -n "__fish_countersign_using_subcommand connect" -l once -d 'One message and its reply on each connection'
complete -c countersign -n "__fish_countersign_using_subcommand connect" -l verify-only -d 'The handshake alone: the server reports the verdict and closes; beats --once'
complete -c countersign -n "__fish_countersign_using_subcommand connect" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c countersign -n "__fish_countersign_using_subcommand connect" -s V -l version -d 'Print version'
complete -c countersign -n "__fish_countersign_using_subcommand keygen" -l dialects -d 'The dialects that the key serves: countersign/1, raw, hex, multiprocessing' -r
complete -c countersign -n "__fish_countersign_using_subcommand keygen" -l audience -d 'The one service that the key lets into, by the name that both ends know it by' -r
complete -c countersign -n "__fish_countersign_using_subcommand keygen" -l not-before -d 'From when on the key is taken: 2027-01-31, or 2027-01-31T12:00:00Z' -r
complete -c countersign -n "__fish_countersign_using_subcommand keygen" -l not-after -d 'Until when the key is taken; a day counts to its end' -r
complete -c countersign -n "__fish_countersign_using_subcommand keygen" -l keys -d 'The file of keys [default: countersign/keys in the user\'s configuration directory]' -r -F
complete -c countersign -n "__fish_countersign_using_subcommand keygen" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c countersign -n "__fish_countersign_using_subcommand keygen" -s V -l version -d 'Print version'
complete -c countersign -n "__fish_countersign_using_subcommand keys; and not __fish_seen_subcommand_from list check rotate" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c countersign -n "__fish_countersign_using_subcommand keys; and not __fish_seen_subcommand_from list check rotate" -s V -l version -d 'Print version'
complete -c countersign -n "__fish_countersign_using_subcommand keys; and not __fish_seen_subcommand_from list check rotate" -f -a "list" -d 'List the keys of the ring, without their secrets'
complete -c countersign -n "__fish_countersign_using_subcommand keys; and not __fish_seen_subcommand_from list check rotate" -f -a "check" -d 'Check the ring as a server reads it'
complete -c countersign -n "__fish_countersign_using_subcommand keys; and not __fish_seen_subcommand_from list check rotate" -f -a "rotate" -d 'Add a fresh key for an old one, which runs out'
complete -c countersign -n "__fish_countersign_using_subcommand keys; and __fish_seen_subcommand_from list" -l keys -d 'The file of keys [default: countersign/keys in the user\'s configuration directory]' -r -F
complete -c countersign -n "__fish_countersign_using_subcommand keys; and __fish_seen_subcommand_from list" -l json -d 'An array of objects instead of a table'
complete -c countersign -n "__fish_countersign_using_subcommand keys; and __fish_seen_subcommand_from list" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c countersign -n "__fish_countersign_using_subcommand keys; and __fish_seen_subcommand_from list" -s V -l version -d 'Print version'
complete -c countersign -n "__fish_countersign_using_subcommand keys; and __fish_seen_subcommand_from check" -l keys -d 'The file of keys [default: countersign/keys in the user\'s configuration directory]' -r -F
complete -c countersign -n "__fish_countersign_using_subcommand keys; and __fish_seen_subcommand_from check" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c countersign -n "__fish_countersign_using_subcommand keys; and __fish_seen_subcommand_from check" -s V -l version -d 'Print version'
complete -c countersign -n "__fish_countersign_using_subcommand keys; and __fish_seen_subcommand_from rotate" -l overlap -d 'How long the old key is still taken; 0s if others know it' -r
complete -c countersign -n "__fish_countersign_using_subcommand keys; and __fish_seen_subcommand_from rotate" -l keys -d 'The file of keys [default: countersign/keys in the user\'s configuration directory]' -r -F
complete -c countersign -n "__fish_countersign_using_subcommand keys; and __fish_seen_subcommand_from rotate" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c countersign -n "__fish_countersign_using_subcommand keys; and __fish_seen_subcommand_from rotate" -s V -l version -d 'Print version'
complete -c countersign -n "__fish_countersign_using_subcommand load" -s c -l connections -d 'Clients at one time' -r
complete -c countersign -n "__fish_countersign_using_subcommand load" -s n -l count -d 'End when so many messages are answered or have failed' -r
complete -c countersign -n "__fish_countersign_using_subcommand load" -s z -l duration -d 'End after so much time [default: 10s, if there is no -n]' -r
complete -c countersign -n "__fish_countersign_using_subcommand load" -s P -l pipeline -d 'Messages that each client may have on their way' -r
complete -c countersign -n "__fish_countersign_using_subcommand load" -s q -l rate -d 'Messages a second, of all clients together' -r
complete -c countersign -n "__fish_countersign_using_subcommand load" -l arrival -d 'With -q: when messages are due' -r -f -a "even\t'At equal distances'
poisson\t'At random, as many independent users would'
burst\t'Several at once'"
complete -c countersign -n "__fish_countersign_using_subcommand load" -l burst -d 'With --arrival burst: how many are due at once' -r
complete -c countersign -n "__fish_countersign_using_subcommand load" -l size -d 'Bytes of a message' -r
complete -c countersign -n "__fish_countersign_using_subcommand load" -l idle -d 'Clients beside the others that go through the handshake and say nothing' -r
complete -c countersign -n "__fish_countersign_using_subcommand load" -l warmup -d 'Measure nothing for so long at first' -r
complete -c countersign -n "__fish_countersign_using_subcommand load" -l close -d 'How clients hang up: with a good-bye, which keeps their port for a while, or with a reset' -r -f -a "fin\t''
rst\t''"
complete -c countersign -n "__fish_countersign_using_subcommand load" -l source -d 'Addresses that clients come from, in turn; for more connections than one has ports' -r
complete -c countersign -n "__fish_countersign_using_subcommand load" -l connect-rate -d 'Connections that are begun a second, at most' -r
complete -c countersign -n "__fish_countersign_using_subcommand load" -l connect-timeout -d 'From dialling until the handshake is over' -r
complete -c countersign -n "__fish_countersign_using_subcommand load" -l reply-timeout -d 'How long a reply may take; 0s is no limit [default: 10s with -n alone]' -r
complete -c countersign -n "__fish_countersign_using_subcommand load" -l key -d 'Sign with the key of this id [default: the first that serves the dialect]' -r
complete -c countersign -n "__fish_countersign_using_subcommand load" -l output -d 'How the report is written' -r -f -a "text\t'For people'
json\t'One object'
csv\t'A line of names and a line of values'
quiet\t'Nothing; the exit code says it'"
complete -c countersign -n "__fish_countersign_using_subcommand load" -s o -l output-file -d 'Where the report is written [default: stdout]' -r -F
complete -c countersign -n "__fish_countersign_using_subcommand load" -l fail-if -d 'Exit with 1 if this holds; may be given more than once' -r
complete -c countersign -n "__fish_countersign_using_subcommand load" -l dialect -d 'The handshake' -r -f -a "countersign/1\t'both ends prove that they hold the key'
countersign/1+raw\t'the same, and raw at the same port'
raw\t'a challenge, answered with its HMAC as bytes'
hex\t'a challenge, answered with its HMAC in hexadecimal digits'
multiprocessing\t'that of Python\'s multiprocessing.connection'
open\t'no handshake: whoever connects is served'"
complete -c countersign -n "__fish_countersign_using_subcommand load" -l records -d 'Whether each message is protected, in countersign/1' -r -f -a "required\t'always; who does without is refused'
allowed\t'if the other end does so too'
off\t'never; whoever relays the handshake owns the connection'"
complete -c countersign -n "__fish_countersign_using_subcommand load" -l audience -d 'The service that is meant, in countersign/1; a server may be several [default: none]' -r
complete -c countersign -n "__fish_countersign_using_subcommand load" -l framing -d 'Where a message ends; records have their own ends [default: lines]' -r -f -a "lines\t'at LF or CRLF'
chunks\t'where a read ends, after at most 1,024 bytes'
length\t'after as many bytes as a 32-bit length in front says'"
complete -c countersign -n "__fish_countersign_using_subcommand load" -l mac -d 'The hash under the HMAC of a proof in raw and hex: sha256 or md5' -r
complete -c countersign -n "__fish_countersign_using_subcommand load" -l message-max -d 'The longest message, in bytes' -r
complete -c countersign -n "__fish_countersign_using_subcommand load" -l keys -d 'The file of keys [default: countersign/keys in the user\'s configuration directory]' -r -F
complete -c countersign -n "__fish_countersign_using_subcommand load" -l reconnect -d 'Connect anew for each message'
complete -c countersign -n "__fish_countersign_using_subcommand load" -l rhel -d 'In multiprocessing, speak with Red Hat\'s Pythons up to 3.11, which do without MD5'
complete -c countersign -n "__fish_countersign_using_subcommand load" -l once -d 'One message and its reply on each connection'
complete -c countersign -n "__fish_countersign_using_subcommand load" -l verify-only -d 'The handshake alone: the server reports the verdict and closes; beats --once'
complete -c countersign -n "__fish_countersign_using_subcommand load" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c countersign -n "__fish_countersign_using_subcommand load" -s V -l version -d 'Print version'
complete -c countersign -n "__fish_countersign_using_subcommand ping" -l config -d 'Ping all that `serve --config FILE` serves; an ADDRESS beats it' -r -F
complete -c countersign -n "__fish_countersign_using_subcommand ping" -l process -d 'Ping all that the process of this number serves or carries, by its command line; an ADDRESS beats it' -r
complete -c countersign -n "__fish_countersign_using_subcommand ping" -l key -d 'Sign with the key of this id [default: the first that serves the dialect]' -r
complete -c countersign -n "__fish_countersign_using_subcommand ping" -s c -l count -d 'How many times' -r
complete -c countersign -n "__fish_countersign_using_subcommand ping" -s i -l interval -d 'From the end of one ping until the next begins; 0s is at once' -r
complete -c countersign -n "__fish_countersign_using_subcommand ping" -l timeout -d 'How long one ping may take' -r
complete -c countersign -n "__fish_countersign_using_subcommand ping" -l message -d 'Send this and await the answer, in any dialect [default: `ping`, in raw, hex and open]' -r
complete -c countersign -n "__fish_countersign_using_subcommand ping" -l dialect -d 'The handshake' -r -f -a "countersign/1\t'both ends prove that they hold the key'
countersign/1+raw\t'the same, and raw at the same port'
raw\t'a challenge, answered with its HMAC as bytes'
hex\t'a challenge, answered with its HMAC in hexadecimal digits'
multiprocessing\t'that of Python\'s multiprocessing.connection'
open\t'no handshake: whoever connects is served'"
complete -c countersign -n "__fish_countersign_using_subcommand ping" -l records -d 'Whether each message is protected, in countersign/1' -r -f -a "required\t'always; who does without is refused'
allowed\t'if the other end does so too'
off\t'never; whoever relays the handshake owns the connection'"
complete -c countersign -n "__fish_countersign_using_subcommand ping" -l audience -d 'The service that is meant, in countersign/1; a server may be several [default: none]' -r
complete -c countersign -n "__fish_countersign_using_subcommand ping" -l framing -d 'Where a message ends; records have their own ends [default: lines]' -r -f -a "lines\t'at LF or CRLF'
chunks\t'where a read ends, after at most 1,024 bytes'
length\t'after as many bytes as a 32-bit length in front says'"
complete -c countersign -n "__fish_countersign_using_subcommand ping" -l mac -d 'The hash under the HMAC of a proof in raw and hex: sha256 or md5' -r
complete -c countersign -n "__fish_countersign_using_subcommand ping" -l message-max -d 'The longest message, in bytes' -r
complete -c countersign -n "__fish_countersign_using_subcommand ping" -l keys -d 'The file of keys [default: countersign/keys in the user\'s configuration directory]' -r -F
complete -c countersign -n "__fish_countersign_using_subcommand ping" -l proxy-header -d 'Send a PROXY header first, as a balancer\'s own health check does'
complete -c countersign -n "__fish_countersign_using_subcommand ping" -l no-message -d 'Send no message: in raw, hex and open it is enough that the connection stays for a moment'
complete -c countersign -n "__fish_countersign_using_subcommand ping" -s q -l quiet -d 'Print nothing; the exit code says it'
complete -c countersign -n "__fish_countersign_using_subcommand ping" -l rhel -d 'In multiprocessing, speak with Red Hat\'s Pythons up to 3.11, which do without MD5'
complete -c countersign -n "__fish_countersign_using_subcommand ping" -l once -d 'One message and its reply on each connection'
complete -c countersign -n "__fish_countersign_using_subcommand ping" -l verify-only -d 'The handshake alone: the server reports the verdict and closes; beats --once'
complete -c countersign -n "__fish_countersign_using_subcommand ping" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c countersign -n "__fish_countersign_using_subcommand ping" -s V -l version -d 'Print version'
complete -c countersign -n "__fish_countersign_using_subcommand proxy" -l role -d 'Which end of countersign/1 this is' -r -f -a "client\t'From plain at --listen to countersign/1 at --to'
server\t'From countersign/1 at --listen to plain at --to'"
complete -c countersign -n "__fish_countersign_using_subcommand proxy" -l listen -d 'Where to listen, as HOST:PORT: at all addresses of a name; port 0 is any free one' -r
complete -c countersign -n "__fish_countersign_using_subcommand proxy" -l to -d 'Whom to dial for each connection, as HOST:PORT; a name is looked up anew each time' -r
complete -c countersign -n "__fish_countersign_using_subcommand proxy" -l admin -d 'Serve monitoring pages over HTTP at HOST:PORT or unix:/PATH [default: off]' -r
complete -c countersign -n "__fish_countersign_using_subcommand proxy" -l admin-unix-mode -d 'The mode of the Unix socket of --admin' -r
complete -c countersign -n "__fish_countersign_using_subcommand proxy" -l log-format -d 'How log lines are written' -r -f -a "text\t'`2018-05-10T22:00:19.123Z WARN refused: wrong-proof peer=… conn=…`'
json\t'An object with ts, level, msg and the record\'s keys'"
complete -c countersign -n "__fish_countersign_using_subcommand proxy" -l log-level -d 'Which log lines are written' -r -f -a "error\t'What keeps the server from its work'
warn\t'And who was refused'
info\t'And what the server does'
debug\t'And every connection'"
complete -c countersign -n "__fish_countersign_using_subcommand proxy" -l audience -d 'The service that is meant; a server may be several [default: none]' -r
complete -c countersign -n "__fish_countersign_using_subcommand proxy" -l keys -d 'The file of keys [default: countersign/keys in the user\'s configuration directory]' -r -F
complete -c countersign -n "__fish_countersign_using_subcommand proxy" -l key -d 'As a client, the id of the key to use [default: the first for countersign/1]' -r
complete -c countersign -n "__fish_countersign_using_subcommand proxy" -l close-revoked -d 'Close the connections whose keys go at a reload, or run out' -r -f -a "true\t''
false\t''"
complete -c countersign -n "__fish_countersign_using_subcommand proxy" -l dialect -r
complete -c countersign -n "__fish_countersign_using_subcommand proxy" -l records -r
complete -c countersign -n "__fish_countersign_using_subcommand proxy" -l max-connections -d 'Connections at one time; newcomers wait until one closes' -r
complete -c countersign -n "__fish_countersign_using_subcommand proxy" -l max-unauthenticated -d 'As a server, connections at one time that have not authenticated; past them, the oldest is evicted [default: as many as --max-connections]' -r
complete -c countersign -n "__fish_countersign_using_subcommand proxy" -l max-per-address -d 'The same from one IPv4 address or IPv6 /64 [default: half of --max-unauthenticated]' -r
complete -c countersign -n "__fish_countersign_using_subcommand proxy" -l connect-timeout -d 'From dialling until whoever is at --to has answered' -r
complete -c countersign -n "__fish_countersign_using_subcommand proxy" -l handshake-timeout -d 'From connecting until both ends have proved themselves' -r
complete -c countersign -n "__fish_countersign_using_subcommand proxy" -l idle-timeout -d 'While nothing is carried either way; 0s is never [default: 0s]' -r
complete -c countersign -n "__fish_countersign_using_subcommand proxy" -l drain-timeout -d 'From the signal to stop until what is still open is cut; 0s cuts it at once' -r
complete -c countersign -n "__fish_countersign_using_subcommand proxy" -l failure-burst -d 'Failed proofs from one IPv4 address or IPv6 /64 without consequence; above, it is delayed' -r
complete -c countersign -n "__fish_countersign_using_subcommand proxy" -l failure-limit -d 'Failed proofs from one network above which it is rejected' -r
complete -c countersign -n "__fish_countersign_using_subcommand proxy" -l failure-delay -d 'Delay before the challenge is sent to a throttled network; 0s sends it at once' -r
complete -c countersign -n "__fish_countersign_using_subcommand proxy" -l failure-decay -d 'How long each failed proof counts against its network; 0s disables throttling' -r
complete -c countersign -n "__fish_countersign_using_subcommand proxy" -l admin-exposed -d 'Allow an --admin address that other machines can reach'
complete -c countersign -n "__fish_countersign_using_subcommand proxy" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c countersign -n "__fish_countersign_using_subcommand proxy" -s V -l version -d 'Print version'
complete -c countersign -n "__fish_countersign_using_subcommand status" -l watch -d 'Refresh every TIME [default: 1s]' -r
complete -c countersign -n "__fish_countersign_using_subcommand status" -l timeout -d 'How long to wait for the answer' -r
complete -c countersign -n "__fish_countersign_using_subcommand status" -l json -d 'Print the report as JSON'
complete -c countersign -n "__fish_countersign_using_subcommand status" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c countersign -n "__fish_countersign_using_subcommand status" -s V -l version -d 'Print version'
