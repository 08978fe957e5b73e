-- Links that wait for somebody's word, newest last: few among many.
CREATE INDEX link_waiting ON link (position) WHERE verdict IN ('soft', 'refused');
