//! A location → bytes: URL, file, folder or standard input.
