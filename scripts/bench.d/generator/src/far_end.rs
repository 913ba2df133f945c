//! The far side of blind tunnels: answers a CONNECT with 200, and what is asked in the tunnel with as many bytes as the plan
//! says. To sidekey it is a parent proxy, to a proxy of the fourth layer the server.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};

use crate::Failure;

/// As much as is written at once.
const PIECE: usize = 256 * 1024;

/// Serves until its standard input ends; prints the port first.
pub(crate) fn serve(bytes: u64) -> Result<(), Failure> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    println!("{}", listener.local_addr()?.port());
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            // Who hangs up early has what it wanted.
            std::thread::spawn(move || give(stream, bytes));
        }
    });
    std::io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}

/// Reads up to an empty line, and not a byte more.
fn read_head(stream: &mut TcpStream) -> std::io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    Ok(())
}

fn give(mut stream: TcpStream, mut bytes: u64) -> std::io::Result<()> {
    read_head(&mut stream)?;
    stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n")?;
    read_head(&mut stream)?;
    let piece = vec![b'x'; PIECE];
    while bytes > 0 {
        let count = piece.len().min(usize::try_from(bytes).unwrap_or(PIECE));
        stream.write_all(&piece[..count])?;
        bytes -= count as u64;
    }
    stream.shutdown(std::net::Shutdown::Write)?;
    // Until the other side has it all.
    stream.read_to_end(&mut Vec::new())?;
    Ok(())
}
