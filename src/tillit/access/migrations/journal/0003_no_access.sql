-- Who read what is in the ledger alone, sealed for each person.
DROP TABLE access;
