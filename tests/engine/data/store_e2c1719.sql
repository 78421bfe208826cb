-- A store that commit e2c1719 wrote: two experiments and a deleted one, a project, a tag.
-- tests/engine/test_old_store.py reads it.
BEGIN TRANSACTION;
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('v3.2.0.a');
CREATE TABLE nc_sigopt_suggestion_metadata (
	trial_id INTEGER NOT NULL, 
	study_name VARCHAR(512) NOT NULL, 
	metadata_json TEXT NOT NULL, 
	PRIMARY KEY (trial_id, study_name)
);
INSERT INTO "nc_sigopt_suggestion_metadata" VALUES(3,'experiment:d152ebfa-f8e8-4457-a95b-3e0a5f66fc84','{"changed": 1}');
CREATE TABLE nc_sigopt_tags (
	id INTEGER NOT NULL, 
	name VARCHAR(100) NOT NULL, 
	color VARCHAR(7) NOT NULL, 
	PRIMARY KEY (id), 
	UNIQUE (name)
);
INSERT INTO "nc_sigopt_tags" VALUES(1,'night','#12AB9F');
CREATE TABLE studies (
	study_id INTEGER NOT NULL, 
	study_name VARCHAR(512) NOT NULL, 
	PRIMARY KEY (study_id)
);
INSERT INTO "studies" VALUES(1,'project:digits');
INSERT INTO "studies" VALUES(2,'experiment:d152ebfa-f8e8-4457-a95b-3e0a5f66fc84');
INSERT INTO "studies" VALUES(3,'experiment:782e775c-ac11-4c95-9fd8-de0091f5166a');
INSERT INTO "studies" VALUES(4,'experiment:48ee839b-4ccb-4b95-82e2-a4fc519f978d');
CREATE TABLE study_directions (
	study_direction_id INTEGER NOT NULL, 
	direction VARCHAR(8) NOT NULL, 
	study_id INTEGER NOT NULL, 
	objective INTEGER NOT NULL, 
	PRIMARY KEY (study_direction_id), 
	UNIQUE (study_id, objective), 
	FOREIGN KEY(study_id) REFERENCES studies (study_id)
);
INSERT INTO "study_directions" VALUES(1,'MINIMIZE',1,0);
INSERT INTO "study_directions" VALUES(2,'MINIMIZE',2,0);
INSERT INTO "study_directions" VALUES(3,'MAXIMIZE',3,0);
INSERT INTO "study_directions" VALUES(4,'MAXIMIZE',4,0);
CREATE TABLE study_system_attributes (
	study_system_attribute_id INTEGER NOT NULL, 
	study_id INTEGER, 
	"key" VARCHAR(512), 
	value_json TEXT, 
	PRIMARY KEY (study_system_attribute_id), 
	UNIQUE (study_id, "key"), 
	FOREIGN KEY(study_id) REFERENCES studies (study_id)
);
INSERT INTO "study_system_attributes" VALUES(1,2,'record','{"baseline_accuracy": 0.95, "op_graph": null}');
CREATE TABLE study_user_attributes (
	study_user_attribute_id INTEGER NOT NULL, 
	study_id INTEGER, 
	"key" VARCHAR(512), 
	value_json TEXT, 
	PRIMARY KEY (study_user_attribute_id), 
	UNIQUE (study_id, "key"), 
	FOREIGN KEY(study_id) REFERENCES studies (study_id)
);
INSERT INTO "study_user_attributes" VALUES(1,1,'project','{"id": "digits", "name": "Digits", "metadata": {"k": "v"}, "created": 1795756652, "updated": 1795756652, "deleted": false}');
INSERT INTO "study_user_attributes" VALUES(2,2,'experiment','{"format": 1, "name": "tune", "type": "offline", "state": "active", "created": 1795756652, "updated": 1795756652, "metrics": [{"name": "accuracy", "objective": "maximize", "strategy": "constraint", "threshold": 0.9}, {"name": "latency", "objective": "minimize", "strategy": "optimize", "threshold": null}, {"name": "output_noise", "objective": "minimize", "strategy": "store", "threshold": null}], "parameters": [{"name": "conv0", "type": "categorical", "low": null, "high": null, "log": false, "categories": ["int8", "bf16", "fp32"], "grid": [], "default_value": null}, {"name": "conv1", "type": "categorical", "low": null, "high": null, "log": false, "categories": ["int8", "bf16", "fp32"], "grid": [], "default_value": null}, {"name": "conv2", "type": "categorical", "low": null, "high": null, "log": false, "categories": ["int8", "bf16", "fp32"], "grid": [], "default_value": null}, {"name": "conv3", "type": "categorical", "low": null, "high": null, "log": false, "categories": ["int8", "bf16", "fp32"], "grid": [], "default_value": null}], "project": "digits", "metadata": {"model": "m"}, "observation_budget": 20, "parallel_bandwidth": null, "num_solutions": null}');
INSERT INTO "study_user_attributes" VALUES(3,3,'experiment','{"format": 1, "name": "mixed", "type": "offline", "state": "active", "created": 1795756652, "updated": 1795756652, "metrics": [{"name": null, "objective": "maximize", "strategy": "optimize", "threshold": null}], "parameters": [{"name": "depth", "type": "int", "low": 1, "high": 4, "log": false, "categories": [], "grid": [], "default_value": null}, {"name": "rate", "type": "double", "low": 0.0001, "high": 1.0, "log": true, "categories": [], "grid": [], "default_value": null}, {"name": "step", "type": "double", "low": null, "high": null, "log": false, "categories": [], "grid": [0.5, 0.25], "default_value": null}], "project": null, "metadata": null, "observation_budget": null, "parallel_bandwidth": null, "num_solutions": null}');
INSERT INTO "study_user_attributes" VALUES(4,4,'experiment','{"format": 1, "name": "gone", "type": "offline", "state": "deleted", "created": 1795756652, "updated": 1795756652, "metrics": [{"name": "score", "objective": "maximize", "strategy": "optimize", "threshold": null}], "parameters": [{"name": "conv0", "type": "categorical", "low": null, "high": null, "log": false, "categories": ["int8", "bf16", "fp32"], "grid": [], "default_value": null}, {"name": "conv1", "type": "categorical", "low": null, "high": null, "log": false, "categories": ["int8", "bf16", "fp32"], "grid": [], "default_value": null}, {"name": "conv2", "type": "categorical", "low": null, "high": null, "log": false, "categories": ["int8", "bf16", "fp32"], "grid": [], "default_value": null}, {"name": "conv3", "type": "categorical", "low": null, "high": null, "log": false, "categories": ["int8", "bf16", "fp32"], "grid": [], "default_value": null}], "project": null, "metadata": null, "observation_budget": null, "parallel_bandwidth": null, "num_solutions": null}');
CREATE TABLE trial_heartbeats (
	trial_heartbeat_id INTEGER NOT NULL, 
	trial_id INTEGER NOT NULL, 
	heartbeat DATETIME NOT NULL, 
	PRIMARY KEY (trial_heartbeat_id), 
	UNIQUE (trial_id), 
	FOREIGN KEY(trial_id) REFERENCES trials (trial_id)
);
CREATE TABLE trial_intermediate_values (
	trial_intermediate_value_id INTEGER NOT NULL, 
	trial_id INTEGER NOT NULL, 
	step INTEGER NOT NULL, 
	intermediate_value FLOAT, 
	intermediate_value_type VARCHAR(7) NOT NULL, 
	PRIMARY KEY (trial_intermediate_value_id), 
	UNIQUE (trial_id, step), 
	FOREIGN KEY(trial_id) REFERENCES trials (trial_id)
);
CREATE TABLE trial_params (
	param_id INTEGER NOT NULL, 
	trial_id INTEGER, 
	param_name VARCHAR(512), 
	param_value FLOAT, 
	distribution_json TEXT, 
	PRIMARY KEY (param_id), 
	UNIQUE (trial_id, param_name), 
	FOREIGN KEY(trial_id) REFERENCES trials (trial_id)
);
INSERT INTO "trial_params" VALUES(1,1,'conv0',0.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["int8", "bf16", "fp32"]}}');
INSERT INTO "trial_params" VALUES(2,1,'conv1',0.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["int8", "bf16", "fp32"]}}');
INSERT INTO "trial_params" VALUES(3,1,'conv2',0.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["int8", "bf16", "fp32"]}}');
INSERT INTO "trial_params" VALUES(4,1,'conv3',0.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["int8", "bf16", "fp32"]}}');
INSERT INTO "trial_params" VALUES(5,2,'conv0',2.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["int8", "bf16", "fp32"]}}');
INSERT INTO "trial_params" VALUES(6,2,'conv1',2.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["int8", "bf16", "fp32"]}}');
INSERT INTO "trial_params" VALUES(7,2,'conv2',2.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["int8", "bf16", "fp32"]}}');
INSERT INTO "trial_params" VALUES(8,2,'conv3',2.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["int8", "bf16", "fp32"]}}');
INSERT INTO "trial_params" VALUES(9,3,'conv0',1.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["int8", "bf16", "fp32"]}}');
INSERT INTO "trial_params" VALUES(10,3,'conv1',1.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["int8", "bf16", "fp32"]}}');
INSERT INTO "trial_params" VALUES(11,3,'conv2',1.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["int8", "bf16", "fp32"]}}');
INSERT INTO "trial_params" VALUES(12,3,'conv3',1.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["int8", "bf16", "fp32"]}}');
INSERT INTO "trial_params" VALUES(13,4,'conv0',2.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["int8", "bf16", "fp32"]}}');
INSERT INTO "trial_params" VALUES(14,4,'conv1',1.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["int8", "bf16", "fp32"]}}');
INSERT INTO "trial_params" VALUES(15,4,'conv2',2.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["int8", "bf16", "fp32"]}}');
INSERT INTO "trial_params" VALUES(16,4,'conv3',1.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["int8", "bf16", "fp32"]}}');
INSERT INTO "trial_params" VALUES(17,5,'conv0',1.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["int8", "bf16", "fp32"]}}');
INSERT INTO "trial_params" VALUES(18,5,'conv1',2.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["int8", "bf16", "fp32"]}}');
INSERT INTO "trial_params" VALUES(19,5,'conv2',0.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["int8", "bf16", "fp32"]}}');
INSERT INTO "trial_params" VALUES(20,5,'conv3',2.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["int8", "bf16", "fp32"]}}');
INSERT INTO "trial_params" VALUES(21,6,'conv0',1.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["int8", "bf16", "fp32"]}}');
INSERT INTO "trial_params" VALUES(22,6,'conv1',1.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["int8", "bf16", "fp32"]}}');
INSERT INTO "trial_params" VALUES(23,6,'conv2',2.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["int8", "bf16", "fp32"]}}');
INSERT INTO "trial_params" VALUES(24,6,'conv3',2.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["int8", "bf16", "fp32"]}}');
INSERT INTO "trial_params" VALUES(25,7,'conv0',1.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["int8", "bf16", "fp32"]}}');
INSERT INTO "trial_params" VALUES(26,7,'conv1',2.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["int8", "bf16", "fp32"]}}');
INSERT INTO "trial_params" VALUES(27,7,'conv2',1.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["int8", "bf16", "fp32"]}}');
INSERT INTO "trial_params" VALUES(28,7,'conv3',2.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["int8", "bf16", "fp32"]}}');
INSERT INTO "trial_params" VALUES(29,8,'conv0',2.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["int8", "bf16", "fp32"]}}');
INSERT INTO "trial_params" VALUES(30,8,'conv1',1.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["int8", "bf16", "fp32"]}}');
INSERT INTO "trial_params" VALUES(31,8,'conv2',1.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["int8", "bf16", "fp32"]}}');
INSERT INTO "trial_params" VALUES(32,8,'conv3',2.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["int8", "bf16", "fp32"]}}');
INSERT INTO "trial_params" VALUES(33,9,'conv0',2.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["int8", "bf16", "fp32"]}}');
INSERT INTO "trial_params" VALUES(34,9,'conv1',2.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["int8", "bf16", "fp32"]}}');
INSERT INTO "trial_params" VALUES(35,9,'conv2',0.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["int8", "bf16", "fp32"]}}');
INSERT INTO "trial_params" VALUES(36,9,'conv3',2.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["int8", "bf16", "fp32"]}}');
INSERT INTO "trial_params" VALUES(37,10,'conv0',0.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["int8", "bf16", "fp32"]}}');
INSERT INTO "trial_params" VALUES(38,10,'conv1',1.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["int8", "bf16", "fp32"]}}');
INSERT INTO "trial_params" VALUES(39,10,'conv2',1.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["int8", "bf16", "fp32"]}}');
INSERT INTO "trial_params" VALUES(40,10,'conv3',2.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["int8", "bf16", "fp32"]}}');
INSERT INTO "trial_params" VALUES(41,11,'conv0',2.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["int8", "bf16", "fp32"]}}');
INSERT INTO "trial_params" VALUES(42,11,'conv1',2.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["int8", "bf16", "fp32"]}}');
INSERT INTO "trial_params" VALUES(43,11,'conv2',2.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["int8", "bf16", "fp32"]}}');
INSERT INTO "trial_params" VALUES(44,11,'conv3',2.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["int8", "bf16", "fp32"]}}');
INSERT INTO "trial_params" VALUES(45,12,'conv0',1.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["int8", "bf16", "fp32"]}}');
INSERT INTO "trial_params" VALUES(46,12,'conv1',1.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["int8", "bf16", "fp32"]}}');
INSERT INTO "trial_params" VALUES(47,12,'conv2',1.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["int8", "bf16", "fp32"]}}');
INSERT INTO "trial_params" VALUES(48,12,'conv3',1.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["int8", "bf16", "fp32"]}}');
INSERT INTO "trial_params" VALUES(49,13,'conv0',0.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["int8", "bf16", "fp32"]}}');
INSERT INTO "trial_params" VALUES(50,13,'conv1',0.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["int8", "bf16", "fp32"]}}');
INSERT INTO "trial_params" VALUES(51,13,'conv2',0.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["int8", "bf16", "fp32"]}}');
INSERT INTO "trial_params" VALUES(52,13,'conv3',0.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["int8", "bf16", "fp32"]}}');
INSERT INTO "trial_params" VALUES(53,14,'depth',3.0,'{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 1, "high": 4}}');
INSERT INTO "trial_params" VALUES(54,14,'rate',5.21635467123697127433e-01,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 0.0001, "high": 1.0, "log": true}}');
INSERT INTO "trial_params" VALUES(55,14,'step',1.0,'{"name": "CategoricalDistribution", "attributes": {"choices": [0.5, 0.25]}}');
INSERT INTO "trial_params" VALUES(56,15,'depth',2.0,'{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 1, "high": 4}}');
INSERT INTO "trial_params" VALUES(57,15,'rate',1.58241449405992586942e-03,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 0.0001, "high": 1.0, "log": true}}');
INSERT INTO "trial_params" VALUES(58,15,'step',0.0,'{"name": "CategoricalDistribution", "attributes": {"choices": [0.5, 0.25]}}');
INSERT INTO "trial_params" VALUES(59,16,'depth',1.0,'{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 1, "high": 4}}');
INSERT INTO "trial_params" VALUES(60,16,'rate',6.86249683287928381736e-03,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 0.0001, "high": 1.0, "log": true}}');
INSERT INTO "trial_params" VALUES(61,16,'step',0.0,'{"name": "CategoricalDistribution", "attributes": {"choices": [0.5, 0.25]}}');
CREATE TABLE trial_system_attributes (
	trial_system_attribute_id INTEGER NOT NULL, 
	trial_id INTEGER, 
	"key" VARCHAR(512), 
	value_json TEXT, 
	PRIMARY KEY (trial_system_attribute_id), 
	UNIQUE (trial_id, "key"), 
	FOREIGN KEY(trial_id) REFERENCES trials (trial_id)
);
INSERT INTO "trial_system_attributes" VALUES(1,1,'constraints','[-0.020000000000000018]');
INSERT INTO "trial_system_attributes" VALUES(2,2,'constraints','[0.050000000000000044]');
INSERT INTO "trial_system_attributes" VALUES(3,3,'constraints','[-0.020000000000000018]');
INSERT INTO "trial_system_attributes" VALUES(4,4,'constraints','[0.050000000000000044]');
INSERT INTO "trial_system_attributes" VALUES(5,6,'constraints','[0.050000000000000044]');
INSERT INTO "trial_system_attributes" VALUES(6,7,'constraints','[-0.020000000000000018]');
INSERT INTO "trial_system_attributes" VALUES(7,8,'constraints','[0.050000000000000044]');
INSERT INTO "trial_system_attributes" VALUES(8,9,'constraints','[-0.020000000000000018]');
INSERT INTO "trial_system_attributes" VALUES(9,13,'constraints','[-0.04999999999999993]');
CREATE TABLE trial_user_attributes (
	trial_user_attribute_id INTEGER NOT NULL, 
	trial_id INTEGER, 
	"key" VARCHAR(512), 
	value_json TEXT, 
	PRIMARY KEY (trial_user_attribute_id), 
	UNIQUE (trial_id, "key"), 
	FOREIGN KEY(trial_id) REFERENCES trials (trial_id)
);
INSERT INTO "trial_user_attributes" VALUES(1,1,'suggestion','{"created": 1795756652, "metadata": {"n": 0}}');
INSERT INTO "trial_user_attributes" VALUES(2,1,'observation','{"created": 1795756652, "failed": false, "metadata": {"seen": 0}, "suggestion": "1", "values": [{"name": "accuracy", "value": 0.92, "value_stddev": null}, {"name": "latency", "value": 5.0, "value_stddev": 0.01}, {"name": "output_noise", "value": 0.0, "value_stddev": null}]}');
INSERT INTO "trial_user_attributes" VALUES(3,2,'suggestion','{"created": 1795756652, "metadata": {"n": 1}}');
INSERT INTO "trial_user_attributes" VALUES(4,2,'observation','{"created": 1795756652, "failed": false, "metadata": {"seen": 1}, "suggestion": "2", "values": [{"name": "accuracy", "value": 0.85, "value_stddev": null}, {"name": "latency", "value": 4.9, "value_stddev": 0.01}, {"name": "output_noise", "value": 0.01, "value_stddev": null}]}');
INSERT INTO "trial_user_attributes" VALUES(5,3,'suggestion','{"created": 1795756652, "metadata": {"n": 2}}');
INSERT INTO "trial_user_attributes" VALUES(6,3,'observation','{"created": 1795756652, "failed": false, "metadata": {"seen": 2}, "suggestion": "3", "values": [{"name": "accuracy", "value": 0.92, "value_stddev": null}, {"name": "latency", "value": 4.8, "value_stddev": 0.01}, {"name": "output_noise", "value": 0.02, "value_stddev": null}]}');
INSERT INTO "trial_user_attributes" VALUES(7,4,'suggestion','{"created": 1795756652, "metadata": {"n": 3}}');
INSERT INTO "trial_user_attributes" VALUES(8,4,'observation','{"created": 1795756652, "failed": false, "metadata": {"seen": 3}, "suggestion": "4", "values": [{"name": "accuracy", "value": 0.85, "value_stddev": null}, {"name": "latency", "value": 4.7, "value_stddev": 0.01}, {"name": "output_noise", "value": 0.03, "value_stddev": null}]}');
INSERT INTO "trial_user_attributes" VALUES(9,5,'suggestion','{"created": 1795756652, "metadata": {"n": 4}}');
INSERT INTO "trial_user_attributes" VALUES(10,5,'observation','{"created": 1795756652, "failed": true, "metadata": null, "suggestion": "5", "values": []}');
INSERT INTO "trial_user_attributes" VALUES(11,6,'suggestion','{"created": 1795756652, "metadata": {"n": 5}}');
INSERT INTO "trial_user_attributes" VALUES(12,6,'observation','{"created": 1795756652, "failed": false, "metadata": {"seen": 5}, "suggestion": "6", "values": [{"name": "accuracy", "value": 0.85, "value_stddev": null}, {"name": "latency", "value": 4.5, "value_stddev": 0.01}, {"name": "output_noise", "value": 0.05, "value_stddev": null}]}');
INSERT INTO "trial_user_attributes" VALUES(13,7,'suggestion','{"created": 1795756652, "metadata": {"n": 6}}');
INSERT INTO "trial_user_attributes" VALUES(14,7,'observation','{"created": 1795756652, "failed": false, "metadata": {"seen": 6}, "suggestion": "7", "values": [{"name": "accuracy", "value": 0.92, "value_stddev": null}, {"name": "latency", "value": 4.4, "value_stddev": 0.01}, {"name": "output_noise", "value": 0.06, "value_stddev": null}]}');
INSERT INTO "trial_user_attributes" VALUES(15,8,'suggestion','{"created": 1795756652, "metadata": {"n": 7}}');
INSERT INTO "trial_user_attributes" VALUES(16,8,'observation','{"created": 1795756652, "failed": false, "metadata": {"seen": 7}, "suggestion": "8", "values": [{"name": "accuracy", "value": 0.85, "value_stddev": null}, {"name": "latency", "value": 4.3, "value_stddev": 0.01}, {"name": "output_noise", "value": 0.07, "value_stddev": null}]}');
INSERT INTO "trial_user_attributes" VALUES(17,9,'suggestion','{"created": 1795756652, "metadata": {"n": 8}}');
INSERT INTO "trial_user_attributes" VALUES(18,9,'observation','{"created": 1795756652, "failed": false, "metadata": {"seen": 8}, "suggestion": "9", "values": [{"name": "accuracy", "value": 0.92, "value_stddev": null}, {"name": "latency", "value": 4.2, "value_stddev": 0.01}, {"name": "output_noise", "value": 0.08, "value_stddev": null}]}');
INSERT INTO "trial_user_attributes" VALUES(19,10,'suggestion','{"created": 1795756652, "metadata": null}');
INSERT INTO "trial_user_attributes" VALUES(20,11,'suggestion','{"created": 1795756652, "metadata": null}');
INSERT INTO "trial_user_attributes" VALUES(21,11,'withdrawn','1795756652');
INSERT INTO "trial_user_attributes" VALUES(22,12,'queued','{"created": 1795756652}');
INSERT INTO "trial_user_attributes" VALUES(23,13,'observation','{"created": 1795756652, "failed": false, "metadata": null, "suggestion": null, "values": [{"name": "accuracy", "value": 0.95, "value_stddev": null}, {"name": "latency", "value": 3.0, "value_stddev": 0.01}, {"name": "output_noise", "value": 0.2, "value_stddev": null}]}');
INSERT INTO "trial_user_attributes" VALUES(24,14,'suggestion','{"created": 1795756652, "metadata": null}');
INSERT INTO "trial_user_attributes" VALUES(25,14,'observation','{"created": 1795756652, "failed": false, "metadata": null, "suggestion": "14", "values": [{"name": null, "value": 0.0, "value_stddev": null}]}');
INSERT INTO "trial_user_attributes" VALUES(26,15,'suggestion','{"created": 1795756652, "metadata": null}');
INSERT INTO "trial_user_attributes" VALUES(27,15,'observation','{"created": 1795756652, "failed": false, "metadata": null, "suggestion": "15", "values": [{"name": null, "value": 1.0, "value_stddev": null}]}');
INSERT INTO "trial_user_attributes" VALUES(28,16,'suggestion','{"created": 1795756652, "metadata": null}');
INSERT INTO "trial_user_attributes" VALUES(29,16,'observation','{"created": 1795756652, "failed": false, "metadata": null, "suggestion": "16", "values": [{"name": null, "value": 2.0, "value_stddev": null}]}');
CREATE TABLE trial_values (
	trial_value_id INTEGER NOT NULL, 
	trial_id INTEGER NOT NULL, 
	objective INTEGER NOT NULL, 
	value FLOAT, 
	value_type VARCHAR(7) NOT NULL, 
	PRIMARY KEY (trial_value_id), 
	UNIQUE (trial_id, objective), 
	FOREIGN KEY(trial_id) REFERENCES trials (trial_id)
);
INSERT INTO "trial_values" VALUES(1,1,0,5.0,'FINITE');
INSERT INTO "trial_values" VALUES(2,2,0,4.9,'FINITE');
INSERT INTO "trial_values" VALUES(3,3,0,4.8,'FINITE');
INSERT INTO "trial_values" VALUES(4,4,0,4.7,'FINITE');
INSERT INTO "trial_values" VALUES(5,6,0,4.5,'FINITE');
INSERT INTO "trial_values" VALUES(6,7,0,4.4,'FINITE');
INSERT INTO "trial_values" VALUES(7,8,0,4.3,'FINITE');
INSERT INTO "trial_values" VALUES(8,9,0,4.2,'FINITE');
INSERT INTO "trial_values" VALUES(9,13,0,3.0,'FINITE');
INSERT INTO "trial_values" VALUES(10,14,0,0.0,'FINITE');
INSERT INTO "trial_values" VALUES(11,15,0,1.0,'FINITE');
INSERT INTO "trial_values" VALUES(12,16,0,2.0,'FINITE');
CREATE TABLE trials (
	trial_id INTEGER NOT NULL, 
	number INTEGER, 
	study_id INTEGER, 
	state VARCHAR(8) NOT NULL, 
	datetime_start DATETIME, 
	datetime_complete DATETIME, 
	PRIMARY KEY (trial_id), 
	FOREIGN KEY(study_id) REFERENCES studies (study_id)
);
INSERT INTO "trials" VALUES(1,0,2,'COMPLETE','2026-11-27 05:17:32.683367','2026-11-27 05:17:32.688655');
INSERT INTO "trials" VALUES(2,1,2,'COMPLETE','2026-11-27 05:17:32.692393','2026-11-27 05:17:32.695427');
INSERT INTO "trials" VALUES(3,2,2,'COMPLETE','2026-11-27 05:17:32.704188','2026-11-27 05:17:32.707140');
INSERT INTO "trials" VALUES(4,3,2,'COMPLETE','2026-11-27 05:17:32.716528','2026-11-27 05:17:32.719622');
INSERT INTO "trials" VALUES(5,4,2,'FAIL','2026-11-27 05:17:32.727149','2026-11-27 05:17:32.730110');
INSERT INTO "trials" VALUES(6,5,2,'COMPLETE','2026-11-27 05:17:32.737358','2026-11-27 05:17:32.740198');
INSERT INTO "trials" VALUES(7,6,2,'COMPLETE','2026-11-27 05:17:32.748774','2026-11-27 05:17:32.751628');
INSERT INTO "trials" VALUES(8,7,2,'COMPLETE','2026-11-27 05:17:32.759722','2026-11-27 05:17:32.762565');
INSERT INTO "trials" VALUES(9,8,2,'COMPLETE','2026-11-27 05:17:32.771198','2026-11-27 05:17:32.774087');
INSERT INTO "trials" VALUES(10,9,2,'RUNNING','2026-11-27 05:17:32.782808',NULL);
INSERT INTO "trials" VALUES(11,10,2,'FAIL','2026-11-27 05:17:32.784544','2026-11-27 05:17:32.787114');
INSERT INTO "trials" VALUES(12,11,2,'WAITING',NULL,NULL);
INSERT INTO "trials" VALUES(13,12,2,'COMPLETE','2026-11-27 05:17:32.790909','2026-11-27 05:17:32.790909');
INSERT INTO "trials" VALUES(14,0,3,'COMPLETE','2026-11-27 05:17:32.797603','2026-11-27 05:17:32.801594');
INSERT INTO "trials" VALUES(15,1,3,'COMPLETE','2026-11-27 05:17:32.804333','2026-11-27 05:17:32.806989');
INSERT INTO "trials" VALUES(16,2,3,'COMPLETE','2026-11-27 05:17:32.809723','2026-11-27 05:17:32.812341');
CREATE TABLE version_info (
	version_info_id INTEGER NOT NULL, 
	schema_version INTEGER, 
	library_version VARCHAR(256), 
	PRIMARY KEY (version_info_id), 
	CHECK (version_info_id=1)
);
INSERT INTO "version_info" VALUES(1,12,'4.9.0');
CREATE UNIQUE INDEX ix_studies_study_name ON studies (study_name);
CREATE INDEX ix_trials_study_id ON trials (study_id);
COMMIT;
