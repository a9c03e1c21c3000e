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
complete -c countersign -n "__fish_countersign_needs_command" -f -a "serve" -d 'Serve clients that hold a key'
complete -c countersign -n "__fish_countersign_needs_command" -f -a "check-config" -d 'Check a configuration file'
complete -c countersign -n "__fish_countersign_needs_command" -f -a "conformance" -d 'Test an implementation of countersign/1 against its page'
complete -c countersign -n "__fish_countersign_needs_command" -f -a "connect" -d 'Connect to a server and exchange messages'
complete -c countersign -n "__fish_countersign_needs_command" -f -a "keygen" -d 'Add a fresh random key to the key file'
complete -c countersign -n "__fish_countersign_needs_command" -f -a "keys" -d 'List, check and rotate keys'
complete -c countersign -n "__fish_countersign_needs_command" -f -a "load" -d 'Measure a server with many clients'
complete -c countersign -n "__fish_countersign_needs_command" -f -a "ping" -d 'Check whether a server works'
complete -c countersign -n "__fish_countersign_needs_command" -f -a "proxy" -d 'Tunnel the connections of other programs through countersign/1'
complete -c countersign -n "__fish_countersign_needs_command" -f -a "status" -d 'Show the status of a server'
complete -c countersign -n "__fish_countersign_using_subcommand serve" -l config -d 'A configuration file with any of these options, and with one or more listeners; see `countersign check-config`' -r -F
complete -c countersign -n "__fish_countersign_using_subcommand serve" -l busy-poll -d 'Spin for TIME before sleeping: replies are faster, but a core is always busy' -r
complete -c countersign -n "__fish_countersign_using_subcommand serve" -l workers -d 'Number of event loops, each on its own thread and with its share of the limits' -r
complete -c countersign -n "__fish_countersign_using_subcommand serve" -l close-revoked -d 'Close connections whose keys have expired, or were removed or changed by a reload' -r -f -a "true\t''
false\t''"
complete -c countersign -n "__fish_countersign_using_subcommand serve" -l fault-seed -d 'Seed for --fault: the same seed and the same messages give the same faults' -r
complete -c countersign -n "__fish_countersign_using_subcommand serve" -l admin -d 'Serve monitoring pages over HTTP at HOST:PORT or unix:/PATH [default: off]' -r
complete -c countersign -n "__fish_countersign_using_subcommand serve" -l admin-unix-mode -d 'File mode of the --admin Unix socket' -r
complete -c countersign -n "__fish_countersign_using_subcommand serve" -l log-format -d 'Format of log lines' -r -f -a "text\t'`2018-05-10T22:00:19.123Z WARN refused: wrong-proof peer=… conn=…`'
json\t'A JSON object with ts, level, msg and the fields of the event'"
complete -c countersign -n "__fish_countersign_using_subcommand serve" -l log-level -d 'Which events are logged' -r -f -a "error\t'Errors that keep the server from working'
warn\t'Also refusals'
info\t'Also what the server does'
debug\t'Also every connection'"
complete -c countersign -n "__fish_countersign_using_subcommand serve" -l name -d 'Name of the listener in the log and in metrics [default: its first address]' -r
complete -c countersign -n "__fish_countersign_using_subcommand serve" -l bind -d 'Address to listen on: HOST:PORT, HOST, PORT or unix:/PATH; can be repeated; port 0 means any free port' -r
complete -c countersign -n "__fish_countersign_using_subcommand serve" -l unix-mode -d 'File mode of Unix sockets: anyone with write permission can connect' -r
complete -c countersign -n "__fish_countersign_using_subcommand serve" -l service -d 'The service to run' -r -f -a "timestamp\t'returns each message with the time in front'
echo\t'returns each message'
discard\t'drops each message'
sink\t'drops each message, and returns the bytes of all at the end'
size=N\t'returns N bytes for each message'
source=N\t'sends N bytes a second'"
complete -c countersign -n "__fish_countersign_using_subcommand serve" -l tcp-keepalive -d 'Send TCP keepalive probes after this time without input; 0s disables them' -r
complete -c countersign -n "__fish_countersign_using_subcommand serve" -l tcp-user-timeout -d 'TCP_USER_TIMEOUT: how long sent data and keepalive probes may go unacknowledged; 0s uses the system\'s default [default: --write-timeout]' -r
complete -c countersign -n "__fish_countersign_using_subcommand serve" -l dialect -d 'The handshake' -r -f -a "countersign/1\t'both ends prove that they hold the key'
countersign/1+raw\t'the same, and raw on the same port'
raw\t'the client answers a challenge with its HMAC, in binary'
hex\t'the client answers a challenge with its HMAC, in hexadecimal'
multiprocessing\t'the handshake of Python\'s multiprocessing.connection'
open\t'no handshake: every client is served'"
complete -c countersign -n "__fish_countersign_using_subcommand serve" -l records -d 'Protection of each message, in countersign/1' -r -f -a "sealed\t'always, and encrypted; a peer that does not encrypt is refused'
required\t'always; a peer without it is refused'
allowed\t'if the other end supports it too'
off\t'never; a relay of the handshake can take over the connection'"
complete -c countersign -n "__fish_countersign_using_subcommand serve" -l audience -d 'Name of the service, in countersign/1: the client\'s must be one of the server\'s [default: none]' -r
complete -c countersign -n "__fish_countersign_using_subcommand serve" -l framing -d 'How messages are delimited; records have their own framing [default: lines]' -r -f -a "lines\t'LF or CRLF ends a message'
chunks\t'each read is a message, of at most 1,024 bytes'
length\t'a 32-bit length precedes each message'"
complete -c countersign -n "__fish_countersign_using_subcommand serve" -l mac -d 'Hash function of the HMAC in raw and hex: sha256 or md5' -r
complete -c countersign -n "__fish_countersign_using_subcommand serve" -l message-max -d 'Maximum size of a message, in bytes' -r
complete -c countersign -n "__fish_countersign_using_subcommand serve" -l keys -d 'The key file [default: countersign/keys in the user\'s configuration directory]' -r -F
complete -c countersign -n "__fish_countersign_using_subcommand serve" -l allow -d 'Sources that can connect: addresses, networks such as 10.0.0.0/8, or unix; can be repeated [default: all]' -r
complete -c countersign -n "__fish_countersign_using_subcommand serve" -l deny -d 'Sources that cannot connect, even if --allow includes them' -r
complete -c countersign -n "__fish_countersign_using_subcommand serve" -l proxy-from -d 'Load balancers that all connections must come through; the client\'s address is taken from their PROXY header, version 1 or 2' -r
complete -c countersign -n "__fish_countersign_using_subcommand serve" -l limits -d 'Values of the limits, and of --message-max, that are not set otherwise' -r -f -a "default\t'10,000 connections, in at most 70 MiB'
small\t'64 connections and messages of 4 KiB, in less than 256 KiB'"
complete -c countersign -n "__fish_countersign_using_subcommand serve" -l max-connections -d 'Maximum number of open connections' -r
complete -c countersign -n "__fish_countersign_using_subcommand serve" -l max-unauthenticated -d 'Maximum number of connections that have not authenticated' -r
complete -c countersign -n "__fish_countersign_using_subcommand serve" -l max-per-address -d 'The same for one IPv4 address or IPv6 /64 [default: half of --max-unauthenticated]' -r
complete -c countersign -n "__fish_countersign_using_subcommand serve" -l handshake-timeout -d 'Time limit from accept, or from the end of the delay, until the peer has authenticated' -r
complete -c countersign -n "__fish_countersign_using_subcommand serve" -l idle-timeout -d 'Time limit from the end of one message to the start of the next; 0s means no limit' -r
complete -c countersign -n "__fish_countersign_using_subcommand serve" -l message-timeout -d 'Time limit from the first byte of a message to its last; 0s means no limit' -r
complete -c countersign -n "__fish_countersign_using_subcommand serve" -l write-timeout -d 'Time limit while the peer accepts no output' -r
complete -c countersign -n "__fish_countersign_using_subcommand serve" -l session-max-age -d 'Time limit for an authenticated connection; 0s means no limit [default: 0s]' -r
complete -c countersign -n "__fish_countersign_using_subcommand serve" -l drain-timeout -d 'Time limit for open connections after a signal to stop; 0s closes them at once' -r
complete -c countersign -n "__fish_countersign_using_subcommand serve" -l buffered-max -d 'Maximum memory for unfinished messages and unsent replies of all connections together' -r
complete -c countersign -n "__fish_countersign_using_subcommand serve" -l failure-burst -d 'Number of failed proofs above which one IPv4 address or IPv6 /64 is delayed' -r
complete -c countersign -n "__fish_countersign_using_subcommand serve" -l failure-limit -d 'Number of failed proofs above which it is rejected' -r
complete -c countersign -n "__fish_countersign_using_subcommand serve" -l failure-delay -d 'Delay before the challenge is sent to a throttled network; 0s sends it at once' -r
complete -c countersign -n "__fish_countersign_using_subcommand serve" -l failure-decay -d 'How long each failed proof counts against its network; 0s disables throttling' -r
complete -c countersign -n "__fish_countersign_using_subcommand serve" -l fault -d 'Faults to inject, such as \'delay=5ms:10; reset:0.1\': each verb with the percentage of messages or connections that it applies to [default: none]' -r
complete -c countersign -n "__fish_countersign_using_subcommand serve" -l admin-exposed -d 'Allow an --admin address that other machines can reach'
complete -c countersign -n "__fish_countersign_using_subcommand serve" -l utc -d 'Write timestamps in UTC instead of local time'
complete -c countersign -n "__fish_countersign_using_subcommand serve" -l rhel -d 'In multiprocessing, support Red Hat\'s builds of Python up to 3.11, which lack MD5'
complete -c countersign -n "__fish_countersign_using_subcommand serve" -l once -d 'Exchange one message and its reply per connection'
complete -c countersign -n "__fish_countersign_using_subcommand serve" -l verify-only -d 'Do only the handshake: the server reports the result and closes; overrides --once'
complete -c countersign -n "__fish_countersign_using_subcommand serve" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c countersign -n "__fish_countersign_using_subcommand serve" -s V -l version -d 'Print version'
complete -c countersign -n "__fish_countersign_using_subcommand check-config" -l busy-poll -d 'Spin for TIME before sleeping: replies are faster, but a core is always busy' -r
complete -c countersign -n "__fish_countersign_using_subcommand check-config" -l workers -d 'Number of event loops, each on its own thread and with its share of the limits' -r
complete -c countersign -n "__fish_countersign_using_subcommand check-config" -l close-revoked -d 'Close connections whose keys have expired, or were removed or changed by a reload' -r -f -a "true\t''
false\t''"
complete -c countersign -n "__fish_countersign_using_subcommand check-config" -l fault-seed -d 'Seed for --fault: the same seed and the same messages give the same faults' -r
complete -c countersign -n "__fish_countersign_using_subcommand check-config" -l admin -d 'Serve monitoring pages over HTTP at HOST:PORT or unix:/PATH [default: off]' -r
complete -c countersign -n "__fish_countersign_using_subcommand check-config" -l admin-unix-mode -d 'File mode of the --admin Unix socket' -r
complete -c countersign -n "__fish_countersign_using_subcommand check-config" -l log-format -d 'Format of log lines' -r -f -a "text\t'`2018-05-10T22:00:19.123Z WARN refused: wrong-proof peer=… conn=…`'
json\t'A JSON object with ts, level, msg and the fields of the event'"
complete -c countersign -n "__fish_countersign_using_subcommand check-config" -l log-level -d 'Which events are logged' -r -f -a "error\t'Errors that keep the server from working'
warn\t'Also refusals'
info\t'Also what the server does'
debug\t'Also every connection'"
complete -c countersign -n "__fish_countersign_using_subcommand check-config" -l name -d 'Name of the listener in the log and in metrics [default: its first address]' -r
complete -c countersign -n "__fish_countersign_using_subcommand check-config" -l bind -d 'Address to listen on: HOST:PORT, HOST, PORT or unix:/PATH; can be repeated; port 0 means any free port' -r
complete -c countersign -n "__fish_countersign_using_subcommand check-config" -l unix-mode -d 'File mode of Unix sockets: anyone with write permission can connect' -r
complete -c countersign -n "__fish_countersign_using_subcommand check-config" -l service -d 'The service to run' -r -f -a "timestamp\t'returns each message with the time in front'
echo\t'returns each message'
discard\t'drops each message'
sink\t'drops each message, and returns the bytes of all at the end'
size=N\t'returns N bytes for each message'
source=N\t'sends N bytes a second'"
complete -c countersign -n "__fish_countersign_using_subcommand check-config" -l tcp-keepalive -d 'Send TCP keepalive probes after this time without input; 0s disables them' -r
complete -c countersign -n "__fish_countersign_using_subcommand check-config" -l tcp-user-timeout -d 'TCP_USER_TIMEOUT: how long sent data and keepalive probes may go unacknowledged; 0s uses the system\'s default [default: --write-timeout]' -r
complete -c countersign -n "__fish_countersign_using_subcommand check-config" -l dialect -d 'The handshake' -r -f -a "countersign/1\t'both ends prove that they hold the key'
countersign/1+raw\t'the same, and raw on the same port'
raw\t'the client answers a challenge with its HMAC, in binary'
hex\t'the client answers a challenge with its HMAC, in hexadecimal'
multiprocessing\t'the handshake of Python\'s multiprocessing.connection'
open\t'no handshake: every client is served'"
complete -c countersign -n "__fish_countersign_using_subcommand check-config" -l records -d 'Protection of each message, in countersign/1' -r -f -a "sealed\t'always, and encrypted; a peer that does not encrypt is refused'
required\t'always; a peer without it is refused'
allowed\t'if the other end supports it too'
off\t'never; a relay of the handshake can take over the connection'"
complete -c countersign -n "__fish_countersign_using_subcommand check-config" -l audience -d 'Name of the service, in countersign/1: the client\'s must be one of the server\'s [default: none]' -r
complete -c countersign -n "__fish_countersign_using_subcommand check-config" -l framing -d 'How messages are delimited; records have their own framing [default: lines]' -r -f -a "lines\t'LF or CRLF ends a message'
chunks\t'each read is a message, of at most 1,024 bytes'
length\t'a 32-bit length precedes each message'"
complete -c countersign -n "__fish_countersign_using_subcommand check-config" -l mac -d 'Hash function of the HMAC in raw and hex: sha256 or md5' -r
complete -c countersign -n "__fish_countersign_using_subcommand check-config" -l message-max -d 'Maximum size of a message, in bytes' -r
complete -c countersign -n "__fish_countersign_using_subcommand check-config" -l keys -d 'The key file [default: countersign/keys in the user\'s configuration directory]' -r -F
complete -c countersign -n "__fish_countersign_using_subcommand check-config" -l allow -d 'Sources that can connect: addresses, networks such as 10.0.0.0/8, or unix; can be repeated [default: all]' -r
complete -c countersign -n "__fish_countersign_using_subcommand check-config" -l deny -d 'Sources that cannot connect, even if --allow includes them' -r
complete -c countersign -n "__fish_countersign_using_subcommand check-config" -l proxy-from -d 'Load balancers that all connections must come through; the client\'s address is taken from their PROXY header, version 1 or 2' -r
complete -c countersign -n "__fish_countersign_using_subcommand check-config" -l limits -d 'Values of the limits, and of --message-max, that are not set otherwise' -r -f -a "default\t'10,000 connections, in at most 70 MiB'
small\t'64 connections and messages of 4 KiB, in less than 256 KiB'"
complete -c countersign -n "__fish_countersign_using_subcommand check-config" -l max-connections -d 'Maximum number of open connections' -r
complete -c countersign -n "__fish_countersign_using_subcommand check-config" -l max-unauthenticated -d 'Maximum number of connections that have not authenticated' -r
complete -c countersign -n "__fish_countersign_using_subcommand check-config" -l max-per-address -d 'The same for one IPv4 address or IPv6 /64 [default: half of --max-unauthenticated]' -r
complete -c countersign -n "__fish_countersign_using_subcommand check-config" -l handshake-timeout -d 'Time limit from accept, or from the end of the delay, until the peer has authenticated' -r
complete -c countersign -n "__fish_countersign_using_subcommand check-config" -l idle-timeout -d 'Time limit from the end of one message to the start of the next; 0s means no limit' -r
complete -c countersign -n "__fish_countersign_using_subcommand check-config" -l message-timeout -d 'Time limit from the first byte of a message to its last; 0s means no limit' -r
complete -c countersign -n "__fish_countersign_using_subcommand check-config" -l write-timeout -d 'Time limit while the peer accepts no output' -r
complete -c countersign -n "__fish_countersign_using_subcommand check-config" -l session-max-age -d 'Time limit for an authenticated connection; 0s means no limit [default: 0s]' -r
complete -c countersign -n "__fish_countersign_using_subcommand check-config" -l drain-timeout -d 'Time limit for open connections after a signal to stop; 0s closes them at once' -r
complete -c countersign -n "__fish_countersign_using_subcommand check-config" -l buffered-max -d 'Maximum memory for unfinished messages and unsent replies of all connections together' -r
complete -c countersign -n "__fish_countersign_using_subcommand check-config" -l failure-burst -d 'Number of failed proofs above which one IPv4 address or IPv6 /64 is delayed' -r
complete -c countersign -n "__fish_countersign_using_subcommand check-config" -l failure-limit -d 'Number of failed proofs above which it is rejected' -r
complete -c countersign -n "__fish_countersign_using_subcommand check-config" -l failure-delay -d 'Delay before the challenge is sent to a throttled network; 0s sends it at once' -r
complete -c countersign -n "__fish_countersign_using_subcommand check-config" -l failure-decay -d 'How long each failed proof counts against its network; 0s disables throttling' -r
complete -c countersign -n "__fish_countersign_using_subcommand check-config" -l fault -d 'Faults to inject, such as \'delay=5ms:10; reset:0.1\': each verb with the percentage of messages or connections that it applies to [default: none]' -r
complete -c countersign -n "__fish_countersign_using_subcommand check-config" -l admin-exposed -d 'Allow an --admin address that other machines can reach'
complete -c countersign -n "__fish_countersign_using_subcommand check-config" -l utc -d 'Write timestamps in UTC instead of local time'
complete -c countersign -n "__fish_countersign_using_subcommand check-config" -l rhel -d 'In multiprocessing, support Red Hat\'s builds of Python up to 3.11, which lack MD5'
complete -c countersign -n "__fish_countersign_using_subcommand check-config" -l once -d 'Exchange one message and its reply per connection'
complete -c countersign -n "__fish_countersign_using_subcommand check-config" -l verify-only -d 'Do only the handshake: the server reports the result and closes; overrides --once'
complete -c countersign -n "__fish_countersign_using_subcommand check-config" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c countersign -n "__fish_countersign_using_subcommand check-config" -s V -l version -d 'Print version'
complete -c countersign -n "__fish_countersign_using_subcommand conformance" -l server -d 'Test the server at this address: HOST:PORT, HOST, PORT or unix:/PATH' -r
complete -c countersign -n "__fish_countersign_using_subcommand conformance" -l client -d 'Test the client that this command runs' -r
complete -c countersign -n "__fish_countersign_using_subcommand conformance" -l keys -d 'The key file of the implementation' -r -F
complete -c countersign -n "__fish_countersign_using_subcommand conformance" -l records -d 'Protection of each message, as the implementation is configured' -r -f -a "sealed\t'always, and encrypted; a peer that does not encrypt is refused'
required\t'always; a peer without it is refused'
allowed\t'if the other end supports it too'
off\t'never; a relay of the handshake can take over the connection'"
complete -c countersign -n "__fish_countersign_using_subcommand conformance" -l framing -d 'How the implementation delimits messages without records' -r -f -a "lines\t'LF or CRLF ends a message'
length\t'a 32-bit length precedes each message'"
complete -c countersign -n "__fish_countersign_using_subcommand conformance" -l listener -d 'What the server is: usual, shared-port (countersign/1 and raw), once or verify-only' -r
complete -c countersign -n "__fish_countersign_using_subcommand conformance" -l audience -d 'Audience of the implementation [default: none]' -r
complete -c countersign -n "__fish_countersign_using_subcommand conformance" -l without -d 'Skip the cases for what the implementation does without' -r -f -a "two-keys\t''
expired-key\t''
other-dialect\t''
passphrase\t''
raw-key\t''
concurrency\t''
deadline\t''"
complete -c countersign -n "__fish_countersign_using_subcommand conformance" -l case -d 'Run only the cases whose id begins so: CS1-7.4, CS1-7.4-S03; can be repeated' -r
complete -c countersign -n "__fish_countersign_using_subcommand conformance" -l handshake-timeout -d 'Time limit of the implementation for the handshake' -r
complete -c countersign -n "__fish_countersign_using_subcommand conformance" -l timeout -d 'How long to wait for what must come, before a case fails' -r
complete -c countersign -n "__fish_countersign_using_subcommand conformance" -l quiet-time -d 'How long nothing may come, where nothing may come' -r
complete -c countersign -n "__fish_countersign_using_subcommand conformance" -s j -l jobs -d 'Number of cases to run at a time' -r
complete -c countersign -n "__fish_countersign_using_subcommand conformance" -l output -d 'Format of the results' -r -f -a "tap\t'The Test Anything Protocol: a line for each case, and the details of those that fail'
json\t'One document'"
complete -c countersign -n "__fish_countersign_using_subcommand conformance" -l list -d 'List the cases, and run none'
complete -c countersign -n "__fish_countersign_using_subcommand conformance" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c countersign -n "__fish_countersign_using_subcommand conformance" -s V -l version -d 'Print version'
complete -c countersign -n "__fish_countersign_using_subcommand connect" -l key -d 'Id of the key to authenticate with [default: the first key for the dialect]' -r
complete -c countersign -n "__fish_countersign_using_subcommand connect" -l timeout -d 'Time limit for connecting, and for each reply; 0s means no limit' -r
complete -c countersign -n "__fish_countersign_using_subcommand connect" -l retry -d 'Retry up to N times while the server can\'t be reached or is busy' -r
complete -c countersign -n "__fish_countersign_using_subcommand connect" -l dialect -d 'The handshake' -r -f -a "countersign/1\t'both ends prove that they hold the key'
countersign/1+raw\t'the same, and raw on the same port'
raw\t'the client answers a challenge with its HMAC, in binary'
hex\t'the client answers a challenge with its HMAC, in hexadecimal'
multiprocessing\t'the handshake of Python\'s multiprocessing.connection'
open\t'no handshake: every client is served'"
complete -c countersign -n "__fish_countersign_using_subcommand connect" -l records -d 'Protection of each message, in countersign/1' -r -f -a "sealed\t'always, and encrypted; a peer that does not encrypt is refused'
required\t'always; a peer without it is refused'
allowed\t'if the other end supports it too'
off\t'never; a relay of the handshake can take over the connection'"
complete -c countersign -n "__fish_countersign_using_subcommand connect" -l audience -d 'Name of the service, in countersign/1: the client\'s must be one of the server\'s [default: none]' -r
complete -c countersign -n "__fish_countersign_using_subcommand connect" -l framing -d 'How messages are delimited; records have their own framing [default: lines]' -r -f -a "lines\t'LF or CRLF ends a message'
chunks\t'each read is a message, of at most 1,024 bytes'
length\t'a 32-bit length precedes each message'"
complete -c countersign -n "__fish_countersign_using_subcommand connect" -l mac -d 'Hash function of the HMAC in raw and hex: sha256 or md5' -r
complete -c countersign -n "__fish_countersign_using_subcommand connect" -l message-max -d 'Maximum size of a message, in bytes' -r
complete -c countersign -n "__fish_countersign_using_subcommand connect" -l keys -d 'The key file [default: countersign/keys in the user\'s configuration directory]' -r -F
complete -c countersign -n "__fish_countersign_using_subcommand connect" -l no-reply -d 'Don\'t wait for replies, for a service that doesn\'t answer each message'
complete -c countersign -n "__fish_countersign_using_subcommand connect" -l rhel -d 'In multiprocessing, support Red Hat\'s builds of Python up to 3.11, which lack MD5'
complete -c countersign -n "__fish_countersign_using_subcommand connect" -l once -d 'Exchange one message and its reply per connection'
complete -c countersign -n "__fish_countersign_using_subcommand connect" -l verify-only -d 'Do only the handshake: the server reports the result and closes; overrides --once'
complete -c countersign -n "__fish_countersign_using_subcommand connect" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c countersign -n "__fish_countersign_using_subcommand connect" -s V -l version -d 'Print version'
complete -c countersign -n "__fish_countersign_using_subcommand keygen" -l dialects -d 'Dialects that the key is valid for: countersign/1, raw, hex, multiprocessing' -r
complete -c countersign -n "__fish_countersign_using_subcommand keygen" -l audience -d 'The only audience that the key is valid for' -r
complete -c countersign -n "__fish_countersign_using_subcommand keygen" -l not-before -d 'The key is valid from this date: 2027-01-31, or 2027-01-31T12:00:00Z' -r
complete -c countersign -n "__fish_countersign_using_subcommand keygen" -l not-after -d 'The key is valid until this date; a day is included to its end' -r
complete -c countersign -n "__fish_countersign_using_subcommand keygen" -l keys -d 'The key file [default: countersign/keys in the user\'s configuration directory]' -r -F
complete -c countersign -n "__fish_countersign_using_subcommand keygen" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c countersign -n "__fish_countersign_using_subcommand keygen" -s V -l version -d 'Print version'
complete -c countersign -n "__fish_countersign_using_subcommand keys; and not __fish_seen_subcommand_from list check rotate" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c countersign -n "__fish_countersign_using_subcommand keys; and not __fish_seen_subcommand_from list check rotate" -s V -l version -d 'Print version'
complete -c countersign -n "__fish_countersign_using_subcommand keys; and not __fish_seen_subcommand_from list check rotate" -f -a "list" -d 'List the keys of the key file, without their secrets'
complete -c countersign -n "__fish_countersign_using_subcommand keys; and not __fish_seen_subcommand_from list check rotate" -f -a "check" -d 'Check the key file as a server reads it'
complete -c countersign -n "__fish_countersign_using_subcommand keys; and not __fish_seen_subcommand_from list check rotate" -f -a "rotate" -d 'Replace a key with a fresh one, and let the old one expire'
complete -c countersign -n "__fish_countersign_using_subcommand keys; and __fish_seen_subcommand_from list" -l keys -d 'The key file [default: countersign/keys in the user\'s configuration directory]' -r -F
complete -c countersign -n "__fish_countersign_using_subcommand keys; and __fish_seen_subcommand_from list" -l json -d 'Print a JSON array instead of a table'
complete -c countersign -n "__fish_countersign_using_subcommand keys; and __fish_seen_subcommand_from list" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c countersign -n "__fish_countersign_using_subcommand keys; and __fish_seen_subcommand_from list" -s V -l version -d 'Print version'
complete -c countersign -n "__fish_countersign_using_subcommand keys; and __fish_seen_subcommand_from check" -l keys -d 'The key file [default: countersign/keys in the user\'s configuration directory]' -r -F
complete -c countersign -n "__fish_countersign_using_subcommand keys; and __fish_seen_subcommand_from check" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c countersign -n "__fish_countersign_using_subcommand keys; and __fish_seen_subcommand_from check" -s V -l version -d 'Print version'
complete -c countersign -n "__fish_countersign_using_subcommand keys; and __fish_seen_subcommand_from rotate" -l overlap -d 'How long the old key stays valid; use 0s if it has leaked' -r
complete -c countersign -n "__fish_countersign_using_subcommand keys; and __fish_seen_subcommand_from rotate" -l keys -d 'The key file [default: countersign/keys in the user\'s configuration directory]' -r -F
complete -c countersign -n "__fish_countersign_using_subcommand keys; and __fish_seen_subcommand_from rotate" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c countersign -n "__fish_countersign_using_subcommand keys; and __fish_seen_subcommand_from rotate" -s V -l version -d 'Print version'
complete -c countersign -n "__fish_countersign_using_subcommand load; and not __fish_seen_subcommand_from merge compare" -s c -l connections -d 'Number of clients' -r
complete -c countersign -n "__fish_countersign_using_subcommand load; and not __fish_seen_subcommand_from merge compare" -l threads -d 'Number of threads, each with its share of the clients' -r
complete -c countersign -n "__fish_countersign_using_subcommand load; and not __fish_seen_subcommand_from merge compare" -s n -l count -d 'Stop after N messages were answered or have failed' -r
complete -c countersign -n "__fish_countersign_using_subcommand load; and not __fish_seen_subcommand_from merge compare" -s z -l duration -d 'Stop after this time; with --find, how long the rate is held [default: 10s, without -n]' -r
complete -c countersign -n "__fish_countersign_using_subcommand load; and not __fish_seen_subcommand_from merge compare" -s P -l pipeline -d 'Messages that each client can have in flight' -r
complete -c countersign -n "__fish_countersign_using_subcommand load; and not __fish_seen_subcommand_from merge compare" -s q -l rate -d 'Messages per second, of all clients together; with --find, the first rate' -r
complete -c countersign -n "__fish_countersign_using_subcommand load; and not __fish_seen_subcommand_from merge compare" -l arrival -d 'With -q, --stages or --find: how the messages are spaced' -r -f -a "constant\t'At equal intervals'
poisson\t'At random intervals, as from many independent users'
burst\t'Several at once'"
complete -c countersign -n "__fish_countersign_using_subcommand load; and not __fish_seen_subcommand_from merge compare" -l burst -d 'With --arrival burst: messages per burst' -r
complete -c countersign -n "__fish_countersign_using_subcommand load; and not __fish_seen_subcommand_from merge compare" -l stages -d 'Change the rate in stages, each with its length and its rate, in an open loop' -r
complete -c countersign -n "__fish_countersign_using_subcommand load; and not __fish_seen_subcommand_from merge compare" -l size -d 'Size of a message, in bytes' -r
complete -c countersign -n "__fish_countersign_using_subcommand load; and not __fish_seen_subcommand_from merge compare" -l idle -d 'Number of additional clients that authenticate and send nothing' -r
complete -c countersign -n "__fish_countersign_using_subcommand load; and not __fish_seen_subcommand_from merge compare" -l warmup -d 'Time at the start that is not measured' -r
complete -c countersign -n "__fish_countersign_using_subcommand load; and not __fish_seen_subcommand_from merge compare" -l close -d 'How clients close connections: with FIN, which keeps the local port in use for a while, or with RST' -r -f -a "fin\t''
rst\t''"
complete -c countersign -n "__fish_countersign_using_subcommand load; and not __fish_seen_subcommand_from merge compare" -l source -d 'Source addresses of the clients, in turn; for more connections than one address has ports' -r
complete -c countersign -n "__fish_countersign_using_subcommand load; and not __fish_seen_subcommand_from merge compare" -l connect-rate -d 'Maximum number of new connections per second' -r
complete -c countersign -n "__fish_countersign_using_subcommand load; and not __fish_seen_subcommand_from merge compare" -l connect-timeout -d 'Time limit for connecting and the handshake' -r
complete -c countersign -n "__fish_countersign_using_subcommand load; and not __fish_seen_subcommand_from merge compare" -l reply-timeout -d 'Time limit for a reply; 0s means no limit' -r
complete -c countersign -n "__fish_countersign_using_subcommand load; and not __fish_seen_subcommand_from merge compare" -l key -d 'Id of the key to authenticate with [default: the first key for the dialect]' -r
complete -c countersign -n "__fish_countersign_using_subcommand load; and not __fish_seen_subcommand_from merge compare" -l output -d 'Format of the report' -r -f -a "text\t'Readable text'
json\t'A JSON object'
csv\t'A line of names and a line of values'
quiet\t'Nothing; only the exit code'"
complete -c countersign -n "__fish_countersign_using_subcommand load; and not __fish_seen_subcommand_from merge compare" -s o -l output-file -d 'File to write the report to [default: stdout]' -r -F
complete -c countersign -n "__fish_countersign_using_subcommand load; and not __fish_seen_subcommand_from merge compare" -l fail-if -d 'Exit with 1 if this condition holds; can be repeated' -r
complete -c countersign -n "__fish_countersign_using_subcommand load; and not __fish_seen_subcommand_from merge compare" -l messages -d 'File with the messages to send, in place of numbered ones of --size' -r -F
complete -c countersign -n "__fish_countersign_using_subcommand load; and not __fish_seen_subcommand_from merge compare" -l messages-order -d 'With --messages: the order in which each client sends them' -r -f -a "sequential\t'One after the other'
random\t'At random, but alike in each run'"
complete -c countersign -n "__fish_countersign_using_subcommand load; and not __fish_seen_subcommand_from merge compare" -l expect -d 'The reply that each message must get: echo, prefix, none or regex:PATTERN' -r
complete -c countersign -n "__fish_countersign_using_subcommand load; and not __fish_seen_subcommand_from merge compare" -l think -d 'Time that a client waits between a reply and its next message' -r
complete -c countersign -n "__fish_countersign_using_subcommand load; and not __fish_seen_subcommand_from merge compare" -l rate-per-connection -d 'Messages per second of each connection, such as 10 or 0.5' -r
complete -c countersign -n "__fish_countersign_using_subcommand load; and not __fish_seen_subcommand_from merge compare" -l proxy-header -d 'Begin each connection with a PROXY header, as a load balancer does' -r -f -a "v1\t'A line of text; HAProxy\'s send-proxy'
v2\t'Binary; HAProxy\'s send-proxy-v2'"
complete -c countersign -n "__fish_countersign_using_subcommand load; and not __fish_seen_subcommand_from merge compare" -l proxy-source -d 'With --proxy-header: the addresses that clients come from, in turn' -r
complete -c countersign -n "__fish_countersign_using_subcommand load; and not __fish_seen_subcommand_from merge compare" -l interval -d 'Length of the report\'s intervals; twice as long, and again, if they were more than 300' -r
complete -c countersign -n "__fish_countersign_using_subcommand load; and not __fish_seen_subcommand_from merge compare" -l report -d 'Write a page with plots to this file, for a browser' -r -F
complete -c countersign -n "__fish_countersign_using_subcommand load; and not __fish_seen_subcommand_from merge compare" -l intervals -d 'Write the figures of each interval to this file, as CSV' -r -F
complete -c countersign -n "__fish_countersign_using_subcommand load; and not __fish_seen_subcommand_from merge compare" -l hgrm -d 'Write the percentiles of all replies to this file, in milliseconds, as HdrHistogram prints them for its plotters' -r -F
complete -c countersign -n "__fish_countersign_using_subcommand load; and not __fish_seen_subcommand_from merge compare" -l hlog -d 'Write the latencies of each interval to this file, in nanoseconds, as an interval log of HdrHistogram' -r -F
complete -c countersign -n "__fish_countersign_using_subcommand load; and not __fish_seen_subcommand_from merge compare" -l server-metrics -d 'Show the server\'s processor time too, from the metrics at this address: HOST:PORT or unix:/PATH' -r
complete -c countersign -n "__fish_countersign_using_subcommand load; and not __fish_seen_subcommand_from merge compare" -l find -d 'Find the highest rate at which this condition holds; can be repeated' -r
complete -c countersign -n "__fish_countersign_using_subcommand load; and not __fish_seen_subcommand_from merge compare" -l find-precision -d 'With --find: how close the result is to the lowest rate that fails' -r
complete -c countersign -n "__fish_countersign_using_subcommand load; and not __fish_seen_subcommand_from merge compare" -l probe-time -d 'With --find: length of each probe; longer if a percentile needs more messages' -r
complete -c countersign -n "__fish_countersign_using_subcommand load; and not __fish_seen_subcommand_from merge compare" -l progress -d 'What to show on stderr while the load runs' -r -f -a "auto\t'A view of the last seconds, on a terminal alone'
plain\t'One line every few seconds, also without a terminal'
never\t'Nothing'"
complete -c countersign -n "__fish_countersign_using_subcommand load; and not __fish_seen_subcommand_from merge compare" -l progress-interval -d 'With --progress plain: time between two lines' -r
complete -c countersign -n "__fish_countersign_using_subcommand load; and not __fish_seen_subcommand_from merge compare" -l dialect -d 'The handshake' -r -f -a "countersign/1\t'both ends prove that they hold the key'
countersign/1+raw\t'the same, and raw on the same port'
raw\t'the client answers a challenge with its HMAC, in binary'
hex\t'the client answers a challenge with its HMAC, in hexadecimal'
multiprocessing\t'the handshake of Python\'s multiprocessing.connection'
open\t'no handshake: every client is served'"
complete -c countersign -n "__fish_countersign_using_subcommand load; and not __fish_seen_subcommand_from merge compare" -l records -d 'Protection of each message, in countersign/1' -r -f -a "sealed\t'always, and encrypted; a peer that does not encrypt is refused'
required\t'always; a peer without it is refused'
allowed\t'if the other end supports it too'
off\t'never; a relay of the handshake can take over the connection'"
complete -c countersign -n "__fish_countersign_using_subcommand load; and not __fish_seen_subcommand_from merge compare" -l audience -d 'Name of the service, in countersign/1: the client\'s must be one of the server\'s [default: none]' -r
complete -c countersign -n "__fish_countersign_using_subcommand load; and not __fish_seen_subcommand_from merge compare" -l framing -d 'How messages are delimited; records have their own framing [default: lines]' -r -f -a "lines\t'LF or CRLF ends a message'
chunks\t'each read is a message, of at most 1,024 bytes'
length\t'a 32-bit length precedes each message'"
complete -c countersign -n "__fish_countersign_using_subcommand load; and not __fish_seen_subcommand_from merge compare" -l mac -d 'Hash function of the HMAC in raw and hex: sha256 or md5' -r
complete -c countersign -n "__fish_countersign_using_subcommand load; and not __fish_seen_subcommand_from merge compare" -l message-max -d 'Maximum size of a message, in bytes' -r
complete -c countersign -n "__fish_countersign_using_subcommand load; and not __fish_seen_subcommand_from merge compare" -l keys -d 'The key file [default: countersign/keys in the user\'s configuration directory]' -r -F
complete -c countersign -n "__fish_countersign_using_subcommand load; and not __fish_seen_subcommand_from merge compare" -l reconnect -d 'Open a new connection for each message'
complete -c countersign -n "__fish_countersign_using_subcommand load; and not __fish_seen_subcommand_from merge compare" -l rhel -d 'In multiprocessing, support Red Hat\'s builds of Python up to 3.11, which lack MD5'
complete -c countersign -n "__fish_countersign_using_subcommand load; and not __fish_seen_subcommand_from merge compare" -l once -d 'Exchange one message and its reply per connection'
complete -c countersign -n "__fish_countersign_using_subcommand load; and not __fish_seen_subcommand_from merge compare" -l verify-only -d 'Do only the handshake: the server reports the result and closes; overrides --once'
complete -c countersign -n "__fish_countersign_using_subcommand load; and not __fish_seen_subcommand_from merge compare" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c countersign -n "__fish_countersign_using_subcommand load; and not __fish_seen_subcommand_from merge compare" -s V -l version -d 'Print version'
complete -c countersign -n "__fish_countersign_using_subcommand load; and not __fish_seen_subcommand_from merge compare" -a "merge" -d 'Merge the reports of several machines that loaded a server at the same time'
complete -c countersign -n "__fish_countersign_using_subcommand load; and not __fish_seen_subcommand_from merge compare" -a "compare" -d 'Compare two saved reports'
complete -c countersign -n "__fish_countersign_using_subcommand load; and __fish_seen_subcommand_from merge" -l output -d 'Format of the report' -r -f -a "text\t'Readable text'
json\t'A JSON object'
csv\t'A line of names and a line of values'
quiet\t'Nothing; only the exit code'"
complete -c countersign -n "__fish_countersign_using_subcommand load; and __fish_seen_subcommand_from merge" -s o -l output-file -d 'File to write the report to [default: stdout]' -r -F
complete -c countersign -n "__fish_countersign_using_subcommand load; and __fish_seen_subcommand_from merge" -l report -d 'Write a page with plots to this file, for a browser' -r -F
complete -c countersign -n "__fish_countersign_using_subcommand load; and __fish_seen_subcommand_from merge" -l intervals -d 'Write the figures of each interval to this file, as CSV' -r -F
complete -c countersign -n "__fish_countersign_using_subcommand load; and __fish_seen_subcommand_from merge" -l hgrm -d 'Write the percentiles of all replies to this file, in milliseconds, as HdrHistogram prints them for its plotters' -r -F
complete -c countersign -n "__fish_countersign_using_subcommand load; and __fish_seen_subcommand_from merge" -l hlog -d 'Write the latencies of each interval to this file, in nanoseconds, as an interval log of HdrHistogram' -r -F
complete -c countersign -n "__fish_countersign_using_subcommand load; and __fish_seen_subcommand_from merge" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c countersign -n "__fish_countersign_using_subcommand load; and __fish_seen_subcommand_from merge" -s V -l version -d 'Print version'
complete -c countersign -n "__fish_countersign_using_subcommand load; and __fish_seen_subcommand_from compare" -l alpha -d 'Probability with which a difference may be reported where there is none' -r
complete -c countersign -n "__fish_countersign_using_subcommand load; and __fish_seen_subcommand_from compare" -l threshold -d 'Smallest change that counts' -r
complete -c countersign -n "__fish_countersign_using_subcommand load; and __fish_seen_subcommand_from compare" -l report -d 'Write a page with plots of both runs to this file, for a browser' -r -F
complete -c countersign -n "__fish_countersign_using_subcommand load; and __fish_seen_subcommand_from compare" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c countersign -n "__fish_countersign_using_subcommand load; and __fish_seen_subcommand_from compare" -s V -l version -d 'Print version'
complete -c countersign -n "__fish_countersign_using_subcommand ping" -l config -d 'Ping all listeners of `serve --config FILE`; ADDRESS overrides it' -r -F
complete -c countersign -n "__fish_countersign_using_subcommand ping" -l pid -d 'Ping all listeners of the process with this id, according to its command line; ADDRESS overrides it' -r
complete -c countersign -n "__fish_countersign_using_subcommand ping" -l proxy-header -d 'Send a PROXY header first, as the health check of a load balancer does [default: v2]' -r -f -a "v1\t'A line of text; HAProxy\'s send-proxy'
v2\t'Binary; HAProxy\'s send-proxy-v2'"
complete -c countersign -n "__fish_countersign_using_subcommand ping" -l key -d 'Id of the key to authenticate with [default: the first key for the dialect]' -r
complete -c countersign -n "__fish_countersign_using_subcommand ping" -s c -l count -d 'Number of pings' -r
complete -c countersign -n "__fish_countersign_using_subcommand ping" -s i -l interval -d 'Pause between pings; 0s means none' -r
complete -c countersign -n "__fish_countersign_using_subcommand ping" -l timeout -d 'Time limit for one ping' -r
complete -c countersign -n "__fish_countersign_using_subcommand ping" -l message -d 'Send this text and wait for the reply, in any dialect [default: `ping`, in raw, hex and open]' -r
complete -c countersign -n "__fish_countersign_using_subcommand ping" -l dialect -d 'The handshake' -r -f -a "countersign/1\t'both ends prove that they hold the key'
countersign/1+raw\t'the same, and raw on the same port'
raw\t'the client answers a challenge with its HMAC, in binary'
hex\t'the client answers a challenge with its HMAC, in hexadecimal'
multiprocessing\t'the handshake of Python\'s multiprocessing.connection'
open\t'no handshake: every client is served'"
complete -c countersign -n "__fish_countersign_using_subcommand ping" -l records -d 'Protection of each message, in countersign/1' -r -f -a "sealed\t'always, and encrypted; a peer that does not encrypt is refused'
required\t'always; a peer without it is refused'
allowed\t'if the other end supports it too'
off\t'never; a relay of the handshake can take over the connection'"
complete -c countersign -n "__fish_countersign_using_subcommand ping" -l audience -d 'Name of the service, in countersign/1: the client\'s must be one of the server\'s [default: none]' -r
complete -c countersign -n "__fish_countersign_using_subcommand ping" -l framing -d 'How messages are delimited; records have their own framing [default: lines]' -r -f -a "lines\t'LF or CRLF ends a message'
chunks\t'each read is a message, of at most 1,024 bytes'
length\t'a 32-bit length precedes each message'"
complete -c countersign -n "__fish_countersign_using_subcommand ping" -l mac -d 'Hash function of the HMAC in raw and hex: sha256 or md5' -r
complete -c countersign -n "__fish_countersign_using_subcommand ping" -l message-max -d 'Maximum size of a message, in bytes' -r
complete -c countersign -n "__fish_countersign_using_subcommand ping" -l keys -d 'The key file [default: countersign/keys in the user\'s configuration directory]' -r -F
complete -c countersign -n "__fish_countersign_using_subcommand ping" -l no-message -d 'Send no message: in raw, hex and open, check only that the connection stays open for a moment'
complete -c countersign -n "__fish_countersign_using_subcommand ping" -s q -l quiet -d 'Print nothing; only set the exit code'
complete -c countersign -n "__fish_countersign_using_subcommand ping" -l rhel -d 'In multiprocessing, support Red Hat\'s builds of Python up to 3.11, which lack MD5'
complete -c countersign -n "__fish_countersign_using_subcommand ping" -l once -d 'Exchange one message and its reply per connection'
complete -c countersign -n "__fish_countersign_using_subcommand ping" -l verify-only -d 'Do only the handshake: the server reports the result and closes; overrides --once'
complete -c countersign -n "__fish_countersign_using_subcommand ping" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c countersign -n "__fish_countersign_using_subcommand ping" -s V -l version -d 'Print version'
complete -c countersign -n "__fish_countersign_using_subcommand proxy" -l role -d 'Which end of the tunnel this is' -r -f -a "client\t'Accepts plain connections at --listen, and connects to --target in countersign/1'
server\t'Accepts countersign/1 at --listen, and connects to --target in plain TCP'"
complete -c countersign -n "__fish_countersign_using_subcommand proxy" -l listen -d 'Address to listen on, as HOST:PORT; a name stands for all its addresses; port 0 means any free port' -r
complete -c countersign -n "__fish_countersign_using_subcommand proxy" -l target -d 'Address to connect to, as HOST:PORT; a name is resolved for each connection' -r
complete -c countersign -n "__fish_countersign_using_subcommand proxy" -l admin -d 'Serve monitoring pages over HTTP at HOST:PORT or unix:/PATH [default: off]' -r
complete -c countersign -n "__fish_countersign_using_subcommand proxy" -l admin-unix-mode -d 'File mode of the --admin Unix socket' -r
complete -c countersign -n "__fish_countersign_using_subcommand proxy" -l log-format -d 'Format of log lines' -r -f -a "text\t'`2018-05-10T22:00:19.123Z WARN refused: wrong-proof peer=… conn=…`'
json\t'A JSON object with ts, level, msg and the fields of the event'"
complete -c countersign -n "__fish_countersign_using_subcommand proxy" -l log-level -d 'Which events are logged' -r -f -a "error\t'Errors that keep the server from working'
warn\t'Also refusals'
info\t'Also what the server does'
debug\t'Also every connection'"
complete -c countersign -n "__fish_countersign_using_subcommand proxy" -l audience -d 'Name of the service: the client\'s must be one of the server\'s [default: none]' -r
complete -c countersign -n "__fish_countersign_using_subcommand proxy" -l keys -d 'The key file [default: countersign/keys in the user\'s configuration directory]' -r -F
complete -c countersign -n "__fish_countersign_using_subcommand proxy" -l key -d 'For the client: id of the key to authenticate with [default: the first key for countersign/1]' -r
complete -c countersign -n "__fish_countersign_using_subcommand proxy" -l close-revoked -d 'Close connections whose keys have expired, or were removed or changed by a reload' -r -f -a "true\t''
false\t''"
complete -c countersign -n "__fish_countersign_using_subcommand proxy" -l records -d 'Protection of each record: required, or sealed, which encrypts it too' -r
complete -c countersign -n "__fish_countersign_using_subcommand proxy" -l dialect -r
complete -c countersign -n "__fish_countersign_using_subcommand proxy" -l max-connections -d 'Maximum number of open connections; new ones wait until one closes' -r
complete -c countersign -n "__fish_countersign_using_subcommand proxy" -l max-unauthenticated -d 'For the server: maximum number of connections that have not authenticated; above it, the oldest is evicted [default: --max-connections]' -r
complete -c countersign -n "__fish_countersign_using_subcommand proxy" -l max-per-address -d 'The same for one IPv4 address or IPv6 /64 [default: half of --max-unauthenticated]' -r
complete -c countersign -n "__fish_countersign_using_subcommand proxy" -l connect-timeout -d 'Time limit for connecting to --target' -r
complete -c countersign -n "__fish_countersign_using_subcommand proxy" -l handshake-timeout -d 'Time limit from connecting until both ends have authenticated' -r
complete -c countersign -n "__fish_countersign_using_subcommand proxy" -l idle-timeout -d 'Time limit without data in either direction; 0s means no limit [default: 0s]' -r
complete -c countersign -n "__fish_countersign_using_subcommand proxy" -l drain-timeout -d 'Time limit for open connections after a signal to stop; 0s closes them at once' -r
complete -c countersign -n "__fish_countersign_using_subcommand proxy" -l failure-burst -d 'Number of failed proofs above which one IPv4 address or IPv6 /64 is delayed' -r
complete -c countersign -n "__fish_countersign_using_subcommand proxy" -l failure-limit -d 'Number of failed proofs above which it is rejected' -r
complete -c countersign -n "__fish_countersign_using_subcommand proxy" -l failure-delay -d 'Delay before the challenge is sent to a throttled network; 0s sends it at once' -r
complete -c countersign -n "__fish_countersign_using_subcommand proxy" -l failure-decay -d 'How long each failed proof counts against its network; 0s disables throttling' -r
complete -c countersign -n "__fish_countersign_using_subcommand proxy" -l admin-exposed -d 'Allow an --admin address that other machines can reach'
complete -c countersign -n "__fish_countersign_using_subcommand proxy" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c countersign -n "__fish_countersign_using_subcommand proxy" -s V -l version -d 'Print version'
complete -c countersign -n "__fish_countersign_using_subcommand status" -l watch -d 'Refresh every TIME [default: 1s]' -r
complete -c countersign -n "__fish_countersign_using_subcommand status" -l timeout -d 'Time limit for the answer' -r
complete -c countersign -n "__fish_countersign_using_subcommand status" -l json -d 'Print the report as JSON'
complete -c countersign -n "__fish_countersign_using_subcommand status" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c countersign -n "__fish_countersign_using_subcommand status" -s V -l version -d 'Print version'
