-- Rows that were forgotten here and whose copies in the lake are not yet. Grain: one per position, gone once the lake has followed.
CREATE TABLE husked (
  position INTEGER PRIMARY KEY
);
