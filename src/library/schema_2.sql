-- Bodies in a table of their own: SQLite walks all of a long row to reach what stands behind it.
CREATE TABLE bodies (
    article_id TEXT NOT NULL REFERENCES articles (id) ON DELETE CASCADE,
    revision   INTEGER NOT NULL,
    body       TEXT NOT NULL,
    PRIMARY KEY (article_id, revision)
) STRICT;
INSERT INTO bodies (article_id, revision, body)
    SELECT article_id, revision, body FROM revisions ORDER BY article_id, revision;
-- Whether the body is nothing but white space.
ALTER TABLE revisions ADD COLUMN is_empty INTEGER NOT NULL DEFAULT 0;
UPDATE revisions SET is_empty = 1 WHERE trim(body, ' ' || char(9, 10, 11, 12, 13)) = '';
ALTER TABLE revisions DROP COLUMN body;
CREATE INDEX revisions_by_hash ON revisions (hash);
CREATE INDEX memberships_by_guid ON memberships (guid, source_id);
-- Link and content hash of the item that the source carried last.
ALTER TABLE memberships ADD COLUMN url TEXT;
ALTER TABLE memberships ADD COLUMN hash TEXT;
UPDATE memberships SET (url, hash) =
    (SELECT a.url, r.hash FROM articles a JOIN revisions r ON r.article_id = a.id
         AND r.revision = a.revision WHERE a.id = memberships.article_id);
CREATE INDEX memberships_by_hash ON memberships (hash, source_id);

-- Cleaned documents, by the hash of what they hold; see `documents.rs` for the format.
CREATE TABLE documents (
    id   TEXT PRIMARY KEY,
    data BLOB NOT NULL
) STRICT;

-- What an article is under a way of cleaning; `keys` are of its blocks before any is removed.
CREATE TABLE cleaned (
    cleaning   TEXT NOT NULL,
    article_id TEXT NOT NULL REFERENCES articles (id) ON DELETE CASCADE,
    revision   INTEGER NOT NULL,
    source     TEXT NOT NULL,          -- the article's first source
    at         INTEGER NOT NULL,       -- when it was published, else first seen
    learned    TEXT NOT NULL,          -- hash of those of its keys that were learned to repeat
    document   TEXT NOT NULL,
    state      TEXT NOT NULL,          -- hash of document and meta: what an index compares
    keys       BLOB NOT NULL,          -- 8 bytes each, ascending
    PRIMARY KEY (cleaning, article_id)
) STRICT;
CREATE INDEX cleaned_states ON cleaned (cleaning, article_id, state);
CREATE INDEX cleaned_newest ON cleaned (cleaning, source, at, article_id);
CREATE INDEX cleaned_documents ON cleaned (document);
CREATE INDEX cleaned_articles ON cleaned (article_id);

-- What repeats across a source's articles under a way of cleaning.
CREATE TABLE learned (
    cleaning  TEXT NOT NULL,
    source_id TEXT NOT NULL REFERENCES sources (id) ON DELETE CASCADE,
    keys      BLOB NOT NULL,
    hash      TEXT NOT NULL,
    PRIMARY KEY (cleaning, source_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX learned_of_source ON learned (source_id);
ALTER TABLE sources DROP COLUMN learned;
ALTER TABLE sources DROP COLUMN learned_of;

-- A number that is another after each change of what an index is made from.
CREATE TABLE changes (
    id     INTEGER PRIMARY KEY CHECK (id = 1),
    number INTEGER NOT NULL
) STRICT;
INSERT INTO changes (id, number) VALUES (1, 1);

-- The number up to which all articles are cleaned in a way.
CREATE TABLE cleanings (
    cleaning TEXT PRIMARY KEY,
    upto     INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
