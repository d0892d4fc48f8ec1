//! Parameters of module `acc`.

use script::{ModParams, SetupError};

/// Parameters of module `acc`.
#[derive(Debug, Clone, ModParams)]
pub(super) struct Settings {
    /// Message flag (0..31) of requests whose answer is logged; -1 none. Default -1.
    pub log_flag: i64,
    /// Message flag of INVITEs whose failure is logged as a missed call. It is reset when that was done. Default -1.
    pub log_missed_flag: i64,
    /// Level of the log lines, Kamailio's numbers. Default 1, notice.
    pub log_level: i64,
    /// Syslog facility of the log lines, given with each line. Default none.
    pub log_facility: String,
    /// More values for log lines: `name=$pv;name=$pv`.
    pub log_extra: String,
    /// Message flag of requests whose answer is written to the database. Default -1.
    pub db_flag: i64,
    /// Message flag of INVITEs whose failure is written to the table of missed calls. It is reset when that was done. Default -1.
    pub db_missed_flag: i64,
    /// Database of the rows; none is written without it. Default none.
    pub db_url: Option<String>,
    /// Table of answered requests. Default `acc`.
    pub db_table_acc: String,
    /// Table of missed calls. Default `missed_calls`.
    pub db_table_missed_calls: String,
    /// More columns: `column=$pv;column=$pv`.
    pub db_extra: String,
    /// How rows are inserted: has no meaning here, a queue takes them all (see `journal_file`).
    pub db_insert_mode: i64,
    /// Whether versions of tables are checked.
    pub db_version_check: bool,
    /// 1: values that are null are NULL in the database, 0: empty text. Default 0.
    pub acc_extra_nullable: bool,
    /// Most values of `log_extra` and `db_extra`; has no meaning here, there may be any number.
    pub acc_extra_size: u32,
    /// Message flag: failures (300 and above) of these requests are accounted as answers are. Default -1.
    pub failed_transaction_flag: i64,
    /// Codes, separated by commas, that are not accounted as failures.
    pub failed_filter: Option<String>,
    /// AVPs of each leg of a call: `name=$avp(x);name=$avp(y)`. One row per value the AVPs have; in a log line one after the other.
    pub multi_leg_info: Option<String>,
    /// 1: provisional replies with a body are accounted. Default 0.
    pub early_media: bool,
    /// 1: ACKs to a 2xx are accounted. Default 0.
    pub report_ack: bool,
    /// 1: CANCELs are accounted. Default 0.
    pub report_cancels: bool,
    /// 1: in requests from callee to caller, From and To tag change places, so that both directions of a call agree. Default 0.
    pub detect_direction: bool,
    /// 1: every INVITE is prepared for accounting, so that flags may be set after its transaction was made. Default 0.
    pub acc_prepare_always: bool,
    /// As `acc_prepare_always`, for INVITEs with this message flag. Default -1.
    pub acc_prepare_flag: i64,
    /// 1: the reason is the value of the reply's Reason header where it has one. Default 0.
    pub reason_from_hf: bool,
    /// 1: rows keep a copy of the request; has no meaning here, requests are never changed. Default 1.
    pub clone_msg: bool,
    /// Time in more detail: 0 none, 1 seconds in `time_attr` and microseconds in `time_exten`, 2 seconds with three decimals, 3 local time
    /// by `time_format`, 4 the same in UTC, each in `time_attr`. Default 0.
    pub time_mode: i64,
    /// Column and log name for `time_mode`. Default `time_attr`.
    pub time_attr: String,
    /// Column and log name for microseconds. Default `time_exten`.
    pub time_exten: String,
    /// strftime format of `time_mode` 3 and 4. Default `%Y-%m-%d %H:%M:%S`.
    pub time_format: String,
    /// Column for the method. Default `method`.
    pub acc_method_column: String,
    /// Column for the From tag. Default `from_tag`.
    pub acc_from_tag_column: String,
    /// Column for the To tag. Default `to_tag`.
    pub acc_to_tag_column: String,
    /// Column for the Call-ID. Default `callid`.
    pub acc_callid_column: String,
    /// Column for the status code. Default `sip_code`.
    pub acc_sip_code_column: String,
    /// Column for the reason phrase. Default `sip_reason`.
    pub acc_sip_reason_column: String,
    /// Column for the time. Default `time`.
    pub acc_time_column: String,
    /// 1: a record for each dialog that ended (needs module `dialog`). Default 0.
    pub cdr_enable: bool,
    /// 1: these records are logged. Default 1.
    pub cdr_log_enable: bool,
    /// Syslog facility of records in the log, given with each line. Default none.
    pub cdr_facility: String,
    /// More values of records: `name=$pv;name=$pv`.
    pub cdr_extra: String,
    /// 1: values of `cdr_extra` that are null are NULL in the database, 0: empty text. Default 0.
    pub cdr_extra_nullable: bool,
    /// Most values of `cdr_extra`; has no meaning here, there may be any number.
    pub cdr_extra_size: u32,
    /// Table of records; empty, none is written to the database. Default empty.
    pub cdrs_table: String,
    /// 1: a record starts when the dialog is confirmed, 0: when it is made. Default 0.
    pub cdr_start_on_confirmed: bool,
    /// 1: also records of dialogs that failed. Default 1.
    pub cdr_on_failed: bool,
    /// 1: also records of dialogs that timed out. Default 0.
    pub cdr_expired_dlg_enable: bool,
    /// Duration: 0 with milliseconds, 1 whole seconds rounded up, 2 rounded down. Default 0.
    pub cdr_duration_mode: i64,
    /// Name of the start time in records, their columns, and `$dlg_var`. Default `start_time`.
    pub cdr_start_id: String,
    /// Name of the end time. Default `end_time`.
    pub cdr_end_id: String,
    /// Name of the duration. Default `duration`.
    pub cdr_duration_id: String,
    /// Name of a dialog variable: dialogs that have it get no record. Default none.
    pub cdr_skip: Option<String>,
    /// File for rows while the database is away (not in Kamailio). Default a file of `/var/lib/trunkline`, or of systemd's state
    /// directory, named after `db_url`.
    pub journal_file: Option<String>,
    /// Most mebibytes in that file (not in Kamailio); what does not fit is lost and counted. Default 64.
    pub journal_limit: u32,
    /// Most rows waiting in memory (not in Kamailio); what does not fit is lost and counted. Default 65536.
    pub journal_queue: u32,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            log_flag: -1,
            log_missed_flag: -1,
            log_level: 1,
            log_facility: String::new(),
            log_extra: String::new(),
            db_flag: -1,
            db_missed_flag: -1,
            db_url: None,
            db_table_acc: "acc".into(),
            db_table_missed_calls: "missed_calls".into(),
            db_extra: String::new(),
            db_insert_mode: 0,
            db_version_check: true,
            acc_extra_nullable: false,
            acc_extra_size: 64,
            failed_transaction_flag: -1,
            failed_filter: None,
            multi_leg_info: None,
            early_media: false,
            report_ack: false,
            report_cancels: false,
            detect_direction: false,
            acc_prepare_always: false,
            acc_prepare_flag: -1,
            reason_from_hf: false,
            clone_msg: true,
            time_mode: 0,
            time_attr: "time_attr".into(),
            time_exten: "time_exten".into(),
            time_format: "%Y-%m-%d %H:%M:%S".into(),
            acc_method_column: "method".into(),
            acc_from_tag_column: "from_tag".into(),
            acc_to_tag_column: "to_tag".into(),
            acc_callid_column: "callid".into(),
            acc_sip_code_column: "sip_code".into(),
            acc_sip_reason_column: "sip_reason".into(),
            acc_time_column: "time".into(),
            cdr_enable: false,
            cdr_log_enable: true,
            cdr_facility: String::new(),
            cdr_extra: String::new(),
            cdr_extra_nullable: false,
            cdr_extra_size: 64,
            cdrs_table: String::new(),
            cdr_start_on_confirmed: false,
            cdr_on_failed: true,
            cdr_expired_dlg_enable: false,
            cdr_duration_mode: 0,
            cdr_start_id: "start_time".into(),
            cdr_end_id: "end_time".into(),
            cdr_duration_id: "duration".into(),
            cdr_skip: None,
            journal_file: None,
            journal_limit: 64,
            journal_queue: 65_536,
        }
    }
}

impl Settings {
    /// What cannot be meant.
    pub(super) fn check(&self) -> Result<(), SetupError> {
        for (name, flag) in [
            ("log_flag", self.log_flag),
            ("log_missed_flag", self.log_missed_flag),
            ("db_flag", self.db_flag),
            ("db_missed_flag", self.db_missed_flag),
            ("failed_transaction_flag", self.failed_transaction_flag),
            ("acc_prepare_flag", self.acc_prepare_flag),
        ] {
            if !(-1..=31).contains(&flag) {
                return Err(SetupError(format!("{name} {flag}: -1 to 31")));
            }
        }
        if !(0..=4).contains(&self.time_mode) {
            return Err(SetupError(format!("time_mode {}: 0 to 4", self.time_mode)));
        }
        if let Some(code) = self.filtered().find(|code| code.is_err()) {
            return Err(SetupError(format!("failed_filter: {}", code.err().unwrap_or_default())));
        }
        Ok(())
    }

    /// The codes of `failed_filter`.
    pub(super) fn filtered(&self) -> impl Iterator<Item = Result<u16, String>> + '_ {
        self.failed_filter
            .iter()
            .flat_map(|list| list.split(','))
            .map(str::trim)
            .filter(|c| !c.is_empty())
            .map(|code| code.parse().map_err(|_| format!("{code} is no status code")))
    }
}
