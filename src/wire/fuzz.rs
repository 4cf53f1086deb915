//! What must hold for any bytes whatever that a frame brings. Called by the fuzzer and, over its seeds, by the tests.

use super::{decode, encode, Envelope, Message, Response};
use crate::error::ErrorCode;
use bytes::Bytes;

/// A message is understood or refused; what is understood is written down again with the very same bytes.
pub fn wire_frame(data: &[u8]) {
    match decode(Bytes::copy_from_slice(data)) {
        Ok(message) => {
            let frame = encode(&message).expect("what came in is within the limits");
            assert_eq!(frame.into_joined(), data, "{message:?}");
        }
        Err(error) => {
            assert!([ErrorCode::CORRUPT_MESSAGE, ErrorCode::UNSUPPORTED_VERSION].contains(&error.code()), "{error:?}");
            let Ok(Envelope { correlation: Some(correlation), .. }) = Envelope::read(data) else { return };
            let answer = encode(&Message::Response { correlation, response: Response::Failed(error) });
            assert!(answer.is_ok_and(|frame| decode(frame.into_joined()).is_ok()));
        }
    }
}
