//! The command line: Trunkline's own commands, and every flag of Kamailio so that a unit file works unchanged.

use std::path::PathBuf;

use clap::{ArgAction, Args, Parser, Subcommand};

/// SIP server that runs a Kamailio deployment: kamailio.cfg and a KEMI Python script (import KSR).
#[derive(Debug, Parser)]
#[command(
    name = "trunkline",
    disable_version_flag = true,
    args_override_self = true,
    subcommand_negates_reqs = true,
    after_help = "Without a command, `trunkline -f kamailio.cfg ...` is `trunkline run -f kamailio.cfg ...`.\n\n\
                  Examples:\n  \
                  trunkline check -f kamailio.cfg          find every mistake, open nothing\n  \
                  trunkline run -f kamailio.cfg            route calls in the foreground, Ctrl-C ends it\n  \
                  trunkline ctl stats.get_statistics all   ask the running server\n  \
                  trunkline ctl --help                     what it can be asked"
)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// As for `run`.
    #[command(flatten)]
    pub run: RunArgs,
}

/// Commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Starts the server in the foreground; the log goes to stderr. SIGTERM or Ctrl-C ends it.
    Run(RunArgs),
    /// Reads configuration and script without opening sockets and names everything that is wrong. Exit code 0 or 1.
    Check(RunArgs),
    /// Asks or tells the running server something over its control socket.
    Ctl(CtlArgs),
    /// Makes, checks, shows and moves the tables of a database, in Kamailio's layouts.
    #[command(subcommand)]
    Db(DbCommand),
    /// Adds, changes, removes and lists subscribers.
    #[command(subcommand)]
    User(UserCommand),
    /// Prints the reference pages made from the declarations: KSR functions, parameters, commands, stubs.
    #[command(visible_alias = "docs")]
    Generate(GenerateArgs),
    /// Prints KSR.pyi: what scripts can call, for editors, mypy and pyright. `trunkline stubs > KSR.pyi` beside the script.
    Stubs,
    /// Prints the version.
    Version,
}

/// `ctl`.
#[derive(Debug, Args)]
pub struct CtlArgs {
    /// The server's control socket. Default: /run/trunkline/trunkline.sock, else one in the user's runtime folder.
    #[arg(long = "ctl", value_name = "PATH", env = "TRUNKLINE_CTL")]
    pub socket: Option<PathBuf>,
    /// Print the result as JSON; of a fault the whole answer.
    #[arg(long)]
    pub json: bool,
    /// Command, for example `core.uptime`; without one the commands are listed.
    pub command: Option<String>,
    /// Its arguments. Numbers are sent as numbers; `s:123` is the text 123.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    pub args: Vec<String>,
}

/// Which database a command is about.
#[derive(Debug, Clone, Args)]
pub struct DatabaseArgs {
    /// Configuration whose `db_url` is meant, when no URL is given.
    #[arg(short = 'f', value_name = "FILE", default_value = "/etc/kamailio/kamailio.cfg")]
    pub file: PathBuf,
    /// Define for the configuration's preprocessor: `-A WITH_MYSQL`.
    #[arg(short = 'A', value_name = "NAME[=VALUE]")]
    pub define: Vec<String>,
}

/// `db`.
#[derive(Debug, Subcommand)]
#[command(after_help = "A database is named by its URL, or by the configuration that uses it:\n  \
          sqlite:///absolute/path/of/the.file            postgres://user:password@host:port/name\n  \
          mysql://user:password@host:port/name           text:///folder (read only)\n\n\
          Examples:\n  \
          trunkline db create sqlite:////var/lib/kamailio/kamailio.db\n  \
          trunkline db check -f /etc/kamailio/kamailio.cfg\n  \
          trunkline db migrate text:///etc/kamailio/dbtext sqlite:////var/lib/kamailio/kamailio.db\n  \
          trunkline db show -f /etc/kamailio/kamailio.cfg subscriber")]
pub enum DbCommand {
    /// Makes the tables that are missing; those that are there stay as they are. The database of a server has to exist and be the user's to change.
    Create {
        /// Database; without it that of the configuration.
        url: Option<String>,
        #[command(flatten)]
        database: DatabaseArgs,
        /// All of Kamailio's tables, those for presence and other modules too.
        #[arg(long)]
        all: bool,
    },
    /// Compares versions and columns of all tables with what this server expects; changes nothing. Exit code 1 when something is wrong.
    Check {
        /// Database; without it that of the configuration.
        url: Option<String>,
        #[command(flatten)]
        database: DatabaseArgs,
    },
    /// Lists the tables with their versions and numbers of rows, or the rows of one table.
    Show {
        /// Database, and the table to print; without a URL the database is that of the configuration.
        #[arg(value_name = "URL|TABLE", num_args = 0..=2)]
        what: Vec<String>,
        #[command(flatten)]
        database: DatabaseArgs,
        /// Most rows to print.
        #[arg(long, default_value_t = 100)]
        limit: usize,
        /// Print passwords and their digests, which are hidden otherwise.
        #[arg(long)]
        secrets: bool,
    },
    /// Copies all rows into another database, making its tables. Tables that have rows there already are left alone.
    Migrate {
        /// Database to read.
        from: String,
        /// Database to write.
        to: String,
        /// Only this table; may be repeated.
        #[arg(long = "table", value_name = "NAME")]
        tables: Vec<String>,
    },
}

/// Which subscribers a command is about, and where they are.
#[derive(Debug, Clone, Args)]
pub struct SubscriberArgs {
    /// Database, instead of auth_db's `db_url` in the configuration.
    #[arg(long, value_name = "URL")]
    pub db: Option<String>,
    #[command(flatten)]
    pub database: DatabaseArgs,
    /// Table.
    #[arg(long, value_name = "NAME", default_value = "subscriber")]
    pub table: String,
}

/// Where a password comes from and how it is kept.
#[derive(Debug, Clone, Args)]
pub struct PasswordArgs {
    /// Password. Others can see it in the list of processes: without it, it is asked for, or read from standard input.
    pub password: Option<String>,
    /// Realm of the digests, when it is not the domain.
    #[arg(long)]
    pub realm: Option<String>,
    /// Keep the password itself too. Needed where auth_db's `calculate_ha1` is set, and then done without this flag.
    #[arg(long, conflicts_with = "no_plaintext")]
    pub plaintext: bool,
    /// Never keep the password itself, only the digests ha1 and ha1b.
    #[arg(long)]
    pub no_plaintext: bool,
}

/// `user`.
#[derive(Debug, Subcommand)]
#[command(after_help = "Examples:\n  \
          trunkline user add alice@example.com\n  \
          trunkline user add alice@example.com --db sqlite:////var/lib/kamailio/kamailio.db < password.txt\n  \
          trunkline user list -f /etc/kamailio/kamailio.cfg")]
pub enum UserCommand {
    /// Adds a subscriber with a password.
    Add {
        /// user@domain; without a domain SIP_DOMAIN of the environment.
        user: String,
        #[command(flatten)]
        password: PasswordArgs,
        #[command(flatten)]
        subscribers: SubscriberArgs,
    },
    /// Changes a subscriber's password.
    Passwd {
        /// user@domain; without a domain SIP_DOMAIN of the environment.
        user: String,
        #[command(flatten)]
        password: PasswordArgs,
        #[command(flatten)]
        subscribers: SubscriberArgs,
    },
    /// Removes a subscriber.
    Rm {
        /// user@domain; without a domain SIP_DOMAIN of the environment.
        user: String,
        #[command(flatten)]
        subscribers: SubscriberArgs,
    },
    /// Lists subscribers.
    List {
        /// Only those of this domain, or this user@domain.
        only: Option<String>,
        #[command(flatten)]
        subscribers: SubscriberArgs,
    },
}

/// `generate`.
#[derive(Debug, Args)]
pub struct GenerateArgs {
    /// Folder to write to; without it everything goes to stdout.
    pub folder: Option<PathBuf>,
}

/// Flags of `run` and `check`. Those without a meaning here are taken so that Kamailio's unit files work.
#[derive(Debug, Clone, Default, Args)]
#[command(args_override_self = true)]
pub struct RunArgs {
    /// Configuration file.
    #[arg(short = 'f', value_name = "FILE", default_value = "/etc/kamailio/kamailio.cfg")]
    pub file: PathBuf,
    /// Only check the configuration: the same as `trunkline check`.
    #[arg(short = 'c', action = ArgAction::Count)]
    pub check: u8,
    /// Define for the configuration's preprocessor: `-A WITH_NAT`, `-A 'PORT=5062'`, `-A 'DEFVAL="str"'`.
    #[arg(short = 'A', value_name = "NAME[=VALUE]")]
    pub define: Vec<String>,
    /// Listen here too: `udp:127.0.0.1:5060`, `eth0:5062`, with an advertised address `udp:10.0.0.1:5060/192.0.2.1:5060`, with a name
    /// `udp:10.0.0.1:5060//local`.
    #[arg(short = 'l', value_name = "ADDRESS")]
    pub listen: Vec<String>,
    /// Name that counts as this server: `[proto:]hostname[:port]`.
    #[arg(long, visible_alias = "domain", value_name = "NAME")]
    pub alias: Vec<String>,
    /// UDP workers per socket, instead of `children`.
    #[arg(short = 'n', value_name = "N")]
    pub children: Option<u32>,
    /// Write the process id here.
    #[arg(short = 'P', value_name = "FILE")]
    pub pid_file: Option<PathBuf>,
    /// User to become once the sockets are bound.
    #[arg(short = 'u', value_name = "USER")]
    pub user: Option<String>,
    /// Group to become once the sockets are bound.
    #[arg(short = 'g', value_name = "GROUP")]
    pub group: Option<String>,
    /// Working directory.
    #[arg(short = 'w', value_name = "DIR")]
    pub directory: Option<PathBuf>,
    /// Runtime directory: the control socket is made there.
    #[arg(short = 'Y', value_name = "DIR")]
    pub runtime: Option<PathBuf>,
    /// Control socket, instead of /run/trunkline/trunkline.sock.
    #[arg(long = "ctl", value_name = "PATH", env = "TRUNKLINE_CTL")]
    pub ctl: Option<PathBuf>,
    /// Answer HTTP here: `POST /rpc`, `GET /metrics`, `GET /health`. A port is one of 127.0.0.1; whoever reaches the address may do
    /// anything `trunkline ctl` can.
    #[arg(long, value_name = "[ADDRESS:]PORT")]
    pub admin: Option<String>,
    /// Log level: -1 errors, 0 warnings, 1 notices, 2 infos, 3 everything; instead of `debug`.
    #[arg(long, value_name = "LEVEL", allow_hyphen_values = true)]
    pub debug: Option<i32>,
    /// Raise the log level by one; may be repeated.
    #[arg(short = 'd', action = ArgAction::Count)]
    pub louder: u8,
    /// Log to stderr. That is always so.
    #[arg(short = 'E', action = ArgAction::Count)]
    pub stderr: u8,
    /// Colours in the log, if stderr is a terminal.
    #[arg(short = 'e', action = ArgAction::Count)]
    pub colour: u8,
    /// Stay in the foreground. Trunkline never goes to the background, with or without it; a service supervisor does that.
    #[arg(short = 'D', action = ArgAction::Count)]
    pub foreground: u8,
    /// Load this module, before those of the configuration.
    #[arg(long, value_name = "NAME")]
    pub loadmodule: Vec<String>,
    /// Module parameter: `module:parameter:type:value`, type `s` or `i`.
    #[arg(long, value_name = "PARAMETER")]
    pub modparam: Vec<String>,
    /// Substitution in the configuration's strings: `/regexp/replacement/flags`.
    #[arg(long, value_name = "EXPRESSION")]
    pub subst: Vec<String>,
    /// The same, and defines the pattern.
    #[arg(long, value_name = "EXPRESSION")]
    pub substdef: Vec<String>,
    /// The same, and defines the pattern as a quoted string.
    #[arg(long, value_name = "EXPRESSION")]
    pub substdefs: Vec<String>,
    /// Value of `server_id`.
    #[arg(long, value_name = "N")]
    pub server_id: Option<u32>,
    /// Print the configuration with includes read, conditionals decided and defines replaced, and start nothing.
    #[arg(long, action = ArgAction::Count)]
    pub cfg_print: u8,
    /// Print the version.
    #[arg(short = 'v', short_alias = 'V', long = "version", action = ArgAction::Count)]
    pub version: u8,
    /// Print the version and how this binary was built.
    #[arg(short = 'I', action = ArgAction::Count)]
    pub info: u8,
    #[command(flatten)]
    pub ignored: Ignored,
}

/// Kamailio's flags that have no meaning here.
#[derive(Debug, Clone, Default, Args)]
#[command(
    args_override_self = true,
    next_help_heading = "Accepted for Kamailio's unit files, without effect"
)]
pub struct Ignored {
    /// Module folders: modules are built in.
    #[arg(short = 'L', value_name = "PATH")]
    modules: Vec<String>,
    /// Shared memory: there is one process, its memory grows as needed.
    #[arg(short = 'm', value_name = "MB")]
    shared_memory: Option<String>,
    /// Private memory.
    #[arg(short = 'M', value_name = "MB")]
    private_memory: Option<String>,
    /// Memory allocator.
    #[arg(short = 'x', value_name = "NAME")]
    shared_allocator: Option<String>,
    /// Memory allocator.
    #[arg(short = 'X', value_name = "NAME")]
    private_allocator: Option<String>,
    /// TCP workers: TCP is not there yet.
    #[arg(short = 'N', value_name = "N")]
    tcp_children: Option<String>,
    /// SCTP workers.
    #[arg(short = 'Q', value_name = "N")]
    sctp_children: Option<String>,
    /// No TCP.
    #[arg(short = 'T', action = ArgAction::Count)]
    no_tcp: u8,
    /// No SCTP.
    #[arg(short = 'S', action = ArgAction::Count)]
    no_sctp: u8,
    /// Automatic aliases.
    #[arg(short = 'a', value_name = "MODE")]
    auto_aliases: Option<String>,
    /// Bound of the automatic receive buffer.
    #[arg(short = 'b', value_name = "BYTES")]
    buffer: Option<String>,
    /// Bound of the automatic send buffer.
    #[arg(short = 'B', value_name = "BYTES")]
    send_buffer: Option<String>,
    /// Process group file.
    #[arg(short = 'G', value_name = "FILE")]
    group_file: Option<String>,
    /// Check Via hosts.
    #[arg(short = 'K', action = ArgAction::Count)]
    via_check: u8,
    /// Script optimisation.
    #[arg(short = 'O', value_name = "LEVEL")]
    optimise: Option<String>,
    /// DNS check of Via.
    #[arg(short = 'r', action = ArgAction::Count)]
    dns: u8,
    /// Reverse DNS check of Via.
    #[arg(short = 'R', action = ArgAction::Count)]
    reverse_dns: u8,
    /// Change root.
    #[arg(short = 't', value_name = "DIR")]
    root: Option<String>,
    /// Poll method.
    #[arg(short = 'W', value_name = "TYPE")]
    poll: Option<String>,
    /// Exit handlers.
    #[arg(long, value_name = "VALUE")]
    atexit: Option<String>,
    /// Log engine.
    #[arg(long, value_name = "NAME")]
    log_engine: Option<String>,
    /// Print all errors: that is always so.
    #[arg(long, action = ArgAction::Count)]
    all_errors: u8,
    /// Unique id of this instance.
    #[arg(long, value_name = "TEXT")]
    iuid: Option<String>,
}

impl Ignored {
    /// The flags that were given, for one debug line.
    pub fn given(&self) -> Vec<&'static str> {
        let some = |o: &Option<String>| o.is_some();
        [
            ("-L", !self.modules.is_empty()),
            ("-m", some(&self.shared_memory)),
            ("-M", some(&self.private_memory)),
            ("-x", some(&self.shared_allocator)),
            ("-X", some(&self.private_allocator)),
            ("-N", some(&self.tcp_children)),
            ("-Q", some(&self.sctp_children)),
            ("-T", self.no_tcp > 0),
            ("-S", self.no_sctp > 0),
            ("-a", some(&self.auto_aliases)),
            ("-b", some(&self.buffer)),
            ("-B", some(&self.send_buffer)),
            ("-G", some(&self.group_file)),
            ("-K", self.via_check > 0),
            ("-O", some(&self.optimise)),
            ("-r", self.dns > 0),
            ("-R", self.reverse_dns > 0),
            ("-t", some(&self.root)),
            ("-W", some(&self.poll)),
            ("--atexit", some(&self.atexit)),
            ("--log-engine", some(&self.log_engine)),
            ("--all-errors", self.all_errors > 0),
            ("--iuid", some(&self.iuid)),
        ]
        .into_iter()
        .filter_map(|(name, given)| given.then_some(name))
        .collect()
    }
}

impl RunArgs {
    /// What the command line adds to the configuration.
    pub fn cfg_options(&self) -> cfg::Options {
        let mut o = cfg::Options::default();
        self.define.iter().for_each(|d| o.define(d));
        for (kind, list) in [
            (cfg::SubstKind::Subst, &self.subst),
            (cfg::SubstKind::SubstDef, &self.substdef),
            (cfg::SubstKind::SubstDefs, &self.substdefs),
        ] {
            o.substs.extend(list.iter().map(|s| (kind, s.clone())));
        }
        o.loadmodules.clone_from(&self.loadmodule);
        o.modparams.clone_from(&self.modparam);
        o
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    fn parse(line: &str) -> RunArgs {
        let cli = Cli::try_parse_from(line.split_whitespace()).unwrap_or_else(|e| panic!("{e}"));
        match cli.command {
            Some(Command::Run(r) | Command::Check(r)) => r,
            None => cli.run,
            Some(other) => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_definition_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_unit_file_line_works_with_and_without_run() {
        let flags = "-DD -P /run/kamailio/kamailio.pid -f /etc/k.cfg -m 64 -M 8 -u kamailio -g kamailio -x fm -X fm -A WITH_NAT \
                     -A PORT=5062 -l udp:127.0.0.1:5060 -l [::1]:5060 -n 4 -N 2 -L /usr/lib/kamailio/modules -w / -Y /run/kamailio \
                     -E -e -dd --debug=-1 --loadmodule=tm --modparam=tm:fr_timer:i:3 --substdef=/A/B/ --log-engine=json --atexit=no -T -B 262144 --all-errors --iuid=a1 --domain=example.com";
        for start in ["trunkline", "trunkline run", "trunkline check"] {
            let r = parse(&format!("{start} {flags}"));
            assert_eq!(r.file, PathBuf::from("/etc/k.cfg"));
            assert_eq!(
                (r.children, r.user.as_deref(), r.debug, r.louder),
                (Some(4), Some("kamailio"), Some(-1), 2)
            );
            assert_eq!((r.define.len(), r.listen.len()), (2, 2));
            assert_eq!(
                r.ignored.given(),
                [
                    "-L",
                    "-m",
                    "-M",
                    "-x",
                    "-X",
                    "-N",
                    "-T",
                    "-B",
                    "--atexit",
                    "--log-engine",
                    "--all-errors",
                    "--iuid"
                ]
            );
            let o = r.cfg_options();
            assert_eq!((o.defines.len(), o.modparams.len(), o.substs.len()), (2, 1, 1));
        }
    }

    #[test]
    fn a_flag_given_twice_counts_once() {
        assert_eq!(parse("trunkline -f a -f b -n 2 -n 3 -m 1 -m 2").children, Some(3));
    }

    #[test]
    fn all_of_kamailios_flags_are_known() {
        for flag in "-a -A -b -B -c --cfg-print --all-errors --iuid --domain -d --debug -D -e -E -f -g -G -I -K -l --loadmodule --log-engine -L -m --modparam -M -n -N \
                     -O -P -Q -r -R --server-id --subst --substdef --substdefs -S -t -T -u -v --version -V -x -X -Y -w -W --alias --atexit"
            .split_whitespace()
        {
            let command = Cli::command();
            let known = command.get_arguments().any(|a| match flag.strip_prefix("--") {
                Some(long) => {
                    a.get_long() == Some(long) || a.get_all_aliases().is_some_and(|l| l.contains(&long))
                }
                None => {
                    let c = flag.chars().nth(1);
                    a.get_short() == c
                        || a.get_all_short_aliases().is_some_and(|l| l.iter().any(|s| Some(*s) == c))
                }
            });
            assert!(known, "{flag}");
        }
    }
}
