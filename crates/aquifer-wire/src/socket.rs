use std::io;
use std::pin::pin;
use std::task::{Context, Poll};

use bytes::BytesMut;
use tokio::io::{AsyncReadExt, AsyncWrite};
use tokio::net::{TcpStream, tcp, unix};
use tokio_rustls::client::TlsStream;

use crate::transport::Transport;

/// The half of a plain socket that a caller may write to without the driver.
#[derive(Debug)]
pub(crate) enum WriteHalf {
    Tcp(tcp::OwnedWriteHalf),
    Unix(unix::OwnedWriteHalf),
}

/// What the driver reads from; with TLS also what it writes to, since the session is one state.
#[derive(Debug)]
pub(crate) enum ReadHalf {
    Tcp(tcp::OwnedReadHalf),
    Unix(unix::OwnedReadHalf),
    Tls(Box<TlsStream<TcpStream>>),
}

/// Splits a transport into the driver's half and, unless it is TLS, the callers'.
pub(crate) fn split(transport: Transport) -> (ReadHalf, Option<WriteHalf>) {
    match transport {
        Transport::Tcp(stream) => {
            let (read, write) = stream.into_split();
            (ReadHalf::Tcp(read), Some(WriteHalf::Tcp(write)))
        }
        Transport::Unix(stream) => {
            let (read, write) = stream.into_split();
            (ReadHalf::Unix(read), Some(WriteHalf::Unix(write)))
        }
        Transport::Tls(stream) => (ReadHalf::Tls(stream), None),
    }
}

impl WriteHalf {
    pub(crate) fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(half) => half.try_write(bytes),
            Self::Unix(half) => half.try_write(bytes),
        }
    }

    pub(crate) fn poll_ready(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(half) => half.as_ref().poll_write_ready(context),
            Self::Unix(half) => half.as_ref().poll_write_ready(context),
        }
    }
}

impl ReadHalf {
    /// Whether reading may find something; TLS has to try.
    pub(crate) fn poll_ready(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(half) => half.as_ref().poll_read_ready(context),
            Self::Unix(half) => half.as_ref().poll_read_ready(context),
            Self::Tls(_) => Poll::Ready(Ok(())),
        }
    }

    pub(crate) fn poll_read(
        &mut self,
        context: &mut Context<'_>,
        buffer: &mut BytesMut,
    ) -> Poll<io::Result<usize>> {
        // `read_buf` keeps no state between polls, so a new future each time loses nothing.
        match self {
            Self::Tcp(half) => pin!(half.read_buf(buffer)).poll(context),
            Self::Unix(half) => pin!(half.read_buf(buffer)).poll(context),
            Self::Tls(stream) => pin!(stream.read_buf(buffer)).poll(context),
        }
    }

    /// Writes and flushes as much of `bytes` as the TLS session takes; plain sockets take nothing.
    pub(crate) fn poll_write(
        &mut self,
        context: &mut Context<'_>,
        bytes: &mut BytesMut,
    ) -> Poll<io::Result<()>> {
        let Self::Tls(stream) = self else {
            return Poll::Ready(Ok(()));
        };
        let mut stream = std::pin::Pin::new(stream.as_mut());
        while !bytes.is_empty() {
            match stream.as_mut().poll_write(context, bytes) {
                Poll::Ready(Ok(0)) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Poll::Ready(Ok(count)) => bytes::Buf::advance(bytes, count),
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => return Poll::Pending,
            }
        }
        stream.poll_flush(context)
    }
}
