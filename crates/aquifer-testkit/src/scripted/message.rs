//! The server's messages, well formed; what a script sends is bytes, so any lie can be told too.

/// A message of any kind.
#[must_use]
pub fn message(tag: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 4).expect("a test's message is short");
    with_length(tag, length, body)
}

/// A message that announces any length, whatever follows.
#[must_use]
pub fn with_length(tag: u8, length: u32, body: &[u8]) -> Vec<u8> {
    [&[tag], &length.to_be_bytes()[..], body].concat()
}

/// AuthenticationOk.
#[must_use]
pub fn authentication_ok() -> Vec<u8> {
    message(b'R', &0_u32.to_be_bytes())
}

/// AuthenticationCleartextPassword.
#[must_use]
pub fn authentication_cleartext() -> Vec<u8> {
    message(b'R', &3_u32.to_be_bytes())
}

/// AuthenticationMD5Password.
#[must_use]
pub fn authentication_md5(salt: [u8; 4]) -> Vec<u8> {
    message(b'R', &[&5_u32.to_be_bytes()[..], &salt].concat())
}

/// AuthenticationSASL with these mechanisms.
#[must_use]
pub fn authentication_sasl(mechanisms: &[&str]) -> Vec<u8> {
    let mut body = 10_u32.to_be_bytes().to_vec();
    for mechanism in mechanisms {
        text(&mut body, mechanism);
    }
    body.push(0);
    message(b'R', &body)
}

/// AuthenticationSASLContinue.
#[must_use]
pub fn authentication_sasl_continue(data: &[u8]) -> Vec<u8> {
    message(b'R', &[&11_u32.to_be_bytes()[..], data].concat())
}

/// AuthenticationSASLFinal.
#[must_use]
pub fn authentication_sasl_final(data: &[u8]) -> Vec<u8> {
    message(b'R', &[&12_u32.to_be_bytes()[..], data].concat())
}

/// BackendKeyData.
#[must_use]
pub fn backend_key_data(process: u32, secret: u32) -> Vec<u8> {
    message(
        b'K',
        &[process.to_be_bytes(), secret.to_be_bytes()].concat(),
    )
}

/// ParameterStatus.
#[must_use]
pub fn parameter_status(name: &str, value: &str) -> Vec<u8> {
    let mut body = Vec::new();
    text(&mut body, name);
    text(&mut body, value);
    message(b'S', &body)
}

/// ReadyForQuery with the status `b'I'` (idle), `b'T'` (in a transaction) or `b'E'` (failed).
#[must_use]
pub fn ready(status: u8) -> Vec<u8> {
    message(b'Z', &[status])
}

/// RowDescription: each column's name and type, in text format.
#[must_use]
pub fn row_description(columns: &[(&str, u32)]) -> Vec<u8> {
    row_description_in_format(columns, 0)
}

/// RowDescription in text (0) or binary (1) format.
#[must_use]
pub fn row_description_in_format(columns: &[(&str, u32)], format: u16) -> Vec<u8> {
    let mut body = count(columns.len());
    for (name, oid) in columns {
        text(&mut body, name);
        // No table, no column number; type; length unknown, no modifier.
        body.extend([0; 6]);
        body.extend(oid.to_be_bytes());
        body.extend((-1_i16).to_be_bytes());
        body.extend((-1_i32).to_be_bytes());
        body.extend(format.to_be_bytes());
    }
    message(b'T', &body)
}

/// DataRow; `None` is NULL.
#[must_use]
pub fn data_row(values: &[Option<&[u8]>]) -> Vec<u8> {
    let mut body = count(values.len());
    for value in values {
        match value {
            Some(value) => {
                let length = i32::try_from(value.len()).expect("a test's value is short");
                body.extend(length.to_be_bytes());
                body.extend(*value);
            }
            None => body.extend((-1_i32).to_be_bytes()),
        }
    }
    message(b'D', &body)
}

/// CommandComplete with a tag such as `SELECT 1`.
#[must_use]
pub fn command_complete(tag: &str) -> Vec<u8> {
    let mut body = Vec::new();
    text(&mut body, tag);
    message(b'C', &body)
}

/// ErrorResponse.
#[must_use]
pub fn error_response(severity: &str, sqlstate: &str, words: &str) -> Vec<u8> {
    let fields = [
        (b'S', severity),
        (b'V', severity),
        (b'C', sqlstate),
        (b'M', words),
    ];
    error_with(&fields)
}

/// ErrorResponse with any fields.
#[must_use]
pub fn error_with(fields: &[(u8, &str)]) -> Vec<u8> {
    message(b'E', &report(fields))
}

/// NoticeResponse.
#[must_use]
pub fn notice_response(severity: &str, sqlstate: &str, words: &str) -> Vec<u8> {
    let fields = [
        (b'S', severity),
        (b'V', severity),
        (b'C', sqlstate),
        (b'M', words),
    ];
    message(b'N', &report(&fields))
}

/// NotificationResponse.
#[must_use]
pub fn notification_response(process: u32, channel: &str, payload: &str) -> Vec<u8> {
    let mut body = process.to_be_bytes().to_vec();
    text(&mut body, channel);
    text(&mut body, payload);
    message(b'A', &body)
}

/// ParameterDescription.
#[must_use]
pub fn parameter_description(types: &[u32]) -> Vec<u8> {
    let mut body = count(types.len());
    for oid in types {
        body.extend(oid.to_be_bytes());
    }
    message(b't', &body)
}

/// ParseComplete.
#[must_use]
pub fn parse_complete() -> Vec<u8> {
    message(b'1', &[])
}

/// BindComplete.
#[must_use]
pub fn bind_complete() -> Vec<u8> {
    message(b'2', &[])
}

/// CloseComplete.
#[must_use]
pub fn close_complete() -> Vec<u8> {
    message(b'3', &[])
}

/// NoData.
#[must_use]
pub fn no_data() -> Vec<u8> {
    message(b'n', &[])
}

/// EmptyQueryResponse.
#[must_use]
pub fn empty_query_response() -> Vec<u8> {
    message(b'I', &[])
}

/// PortalSuspended.
#[must_use]
pub fn portal_suspended() -> Vec<u8> {
    message(b's', &[])
}

/// NegotiateProtocolVersion: the newest minor version, and options that are not known.
#[must_use]
pub fn negotiate_protocol_version(minor: u32, unknown: &[&str]) -> Vec<u8> {
    let mut body = minor.to_be_bytes().to_vec();
    let options = u32::try_from(unknown.len()).expect("few options");
    body.extend(options.to_be_bytes());
    for option in unknown {
        text(&mut body, option);
    }
    message(b'v', &body)
}

/// What a server says between AuthenticationOk and the first ReadyForQuery, both included.
#[must_use]
pub fn greeting() -> Vec<u8> {
    [
        authentication_ok(),
        parameter_status("server_version", "15.0"),
        parameter_status("server_encoding", "UTF8"),
        parameter_status("client_encoding", "UTF8"),
        parameter_status("DateStyle", "ISO, MDY"),
        parameter_status("IntervalStyle", "postgres"),
        parameter_status("TimeZone", "UTC"),
        parameter_status("integer_datetimes", "on"),
        parameter_status("standard_conforming_strings", "on"),
        parameter_status("in_hot_standby", "off"),
        parameter_status("default_transaction_read_only", "off"),
        backend_key_data(4711, 815),
        ready(b'I'),
    ]
    .concat()
}

fn report(fields: &[(u8, &str)]) -> Vec<u8> {
    let mut body = Vec::new();
    for (kind, value) in fields {
        body.push(*kind);
        text(&mut body, value);
    }
    body.push(0);
    body
}

fn count(elements: usize) -> Vec<u8> {
    let elements = u16::try_from(elements).expect("few elements");
    elements.to_be_bytes().to_vec()
}

fn text(body: &mut Vec<u8>, value: &str) {
    body.extend(value.as_bytes());
    body.push(0);
}
