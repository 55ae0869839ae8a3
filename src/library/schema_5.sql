-- Plain text. Sources are read anew once, so that the articles that are there get theirs.
ALTER TABLE articles ADD COLUMN subtitle TEXT;
UPDATE sources SET cursor = NULL;
