-- What is kept of an embedded text beside its vector; each can be made again from its text.
CREATE TABLE details (
    text_hash   BLOB NOT NULL,
    fingerprint TEXT NOT NULL,
    details     BLOB NOT NULL,
    PRIMARY KEY (text_hash, fingerprint)
) STRICT, WITHOUT ROWID;
